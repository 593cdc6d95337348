"""Entity tags and conditional requests (RFC 9110 section 13) over change numbers."""

from __future__ import annotations

import re

from flask import Request

_TAG = re.compile(r'(W/)?"([^"]*)"', re.ASCII)


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


def if_none_match(request: Request) -> list[int]:
    """The versions that the client has, by If-None-Match (weak comparison, section 13.1.2)."""
    header = request.headers.get("If-None-Match")
    return [version for _, version in _versions(header)] if header else []


def _versions(header: str) -> list[tuple[bool, int]]:
    return [
        (bool(weak), int(tag))
        for weak, tag in _TAG.findall(header)
        if tag.isascii() and tag.isdigit() and len(tag) < 19
    ]
