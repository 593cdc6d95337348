"""Entity tags and conditional requests (RFC 9110 section 13), based on versions."""

from __future__ import annotations

import re

from flask import Request

_TAG = re.compile(r'(?:^|,)\s*(W/)?"([^"]*)"\s*(?=,|$)', re.ASCII)
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def entity_tag(version: int, owner: int | None = None) -> str:
    """The strong entity tag of a version.

    Args:
        owner: the ID of the workspace, for paths that are the same for all workspaces. Two
            workspaces can have the same version, which caches must not confuse.
    """
    return f'"{version}"' if owner is None else f'"{owner}.{version}"'


def if_match(request: Request) -> list[int] | None:
    """The versions in If-Match; None without the header or with `*`.

    Foreign and weak tags match nothing (strong comparison, section 13.1.1).
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    return [version for weak, version in _versions(header) if not weak]


def if_none_match(request: Request, owner: int | None = None) -> list[int] | None:
    """The versions in If-None-Match (weak comparison, section 13.1.2); None for `*`, all versions.

    Args:
        owner: see `entity_tag`. Tags of other owners are ignored.
    """
    header = request.headers.get("If-None-Match", "")
    if header.strip() == "*":
        return None
    prefix = "" if owner is None else f"{owner}."
    return [version for _, version in _versions(header, prefix)]


def _versions(header: str, prefix: str = "") -> list[tuple[bool, int]]:
    found = [
        (weak, tag.removeprefix(prefix))
        for weak, tag in _TAG.findall(header)
        if tag.startswith(prefix)
    ]
    return [(bool(weak), int(tag)) for weak, tag in found if _VERSION.fullmatch(tag)]
