"""Entity tags and conditional requests (RFC 9110 section 13) over change numbers."""

from __future__ import annotations

import re

from flask import Request

_TAG = re.compile(r'(?:^|,)\s*(W/)?"([^"]*)"\s*(?=,|$)', re.ASCII)
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def entity_tag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


def if_match(request: Request) -> list[int] | None:
    """The versions that If-Match accepts; None without the header or with `*`.

    Tags that were never ours, and weak ones, match nothing (strong comparison, section 13.1.1).
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    return [version for weak, version in _versions(header) if not weak]


def if_none_match(request: Request) -> list[int] | None:
    """The versions that the client has, by If-None-Match (weak comparison, section 13.1.2).

    None with `*`: whatever the version is, the client has it.
    """
    header = request.headers.get("If-None-Match", "")
    return None if header.strip() == "*" else [version for _, version in _versions(header)]


def is_known(version: int, known: list[int] | None) -> bool:
    """Whether a version is among those that `if_none_match` gave."""
    return known is None or version in known


def _versions(header: str) -> list[tuple[bool, int]]:
    return [(bool(weak), int(tag)) for weak, tag in _TAG.findall(header) if _VERSION.fullmatch(tag)]
