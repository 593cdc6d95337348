"""CORS: the origins whose pages may call the API, and the headers that let them read responses."""

from __future__ import annotations

import re
from collections.abc import Iterable

EXPOSED_HEADERS = (
    "Allow",
    "ETag",
    "Idempotency-Replayed",
    "Link",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
"""The response headers that pages can read."""


def origin_patterns(origins: Iterable[str]) -> list[re.Pattern[str]]:
    """Patterns of the origins in CORS_ORIGINS. `*` stands for one label of a host name."""
    escaped = (re.escape(origin).replace(r"\*", "[a-z0-9-]+") for origin in origins)
    return [re.compile(rf"{one}\Z", re.IGNORECASE) for one in escaped]


def cors_headers(origin: str, patterns: list[re.Pattern[str]]) -> dict[str, str]:
    """The CORS headers of a response that the application did not make."""
    headers = {"Vary": "Origin"}
    if any(pattern.match(origin) for pattern in patterns):
        headers |= {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS),
        }
    return headers
