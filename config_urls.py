"""The values of the settings that are URLs or origins. `config` reads them.

The functions raise ValueError for an invalid value. The message says what it must be.
"""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit


def split(text: str) -> tuple[str, ...]:
    """The values of a list that is separated by commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def parse_origins(text: str) -> tuple[str, ...]:
    """The origins of front ends, and patterns for the subdomains of a domain."""
    origins = tuple(origin.rstrip("/") for origin in split(text))
    if not all(map(_is_origin, origins)):
        raise ValueError(
            "must list origins such as https://app.example.com, capacitor://localhost or"
            " https://*.example.com, separated by commas (no path, and no other *)"
        )
    return origins


def _is_origin(origin: str) -> bool:
    """Whether a text is an origin, or a pattern for the subdomains of a domain."""
    parts = urlsplit(origin)
    domain = parts.netloc.removeprefix("*.")
    if origin != f"{parts.scheme}://{parts.netloc}" or not parts.hostname:
        return False
    is_pattern = domain != parts.netloc
    is_valid_pattern = parts.scheme == "https" and "." in domain
    return not set("*@ \\") & set(domain) and (is_valid_pattern or not is_pattern)


def parse_database_url(text: str) -> str:
    """The URL of a PostgreSQL database."""
    if urlsplit(text).scheme not in ("postgres", "postgresql"):
        raise ValueError("must be a postgres:// or postgresql:// URL")
    return text


def is_on_this_machine(database_url: str) -> bool:
    """Whether a URL leads to a Unix socket or a loopback address."""
    parts = urlsplit(database_url)
    host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
    return unquote(host).startswith("/") or host in ("", "localhost", "127.0.0.1", "::1")


def parse_mail_url(text: str) -> str:
    """The URL of a mail server."""
    parts = urlsplit(text)
    try:
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if parts.scheme not in ("smtp", "smtps") or not is_valid or parts.path.strip("/"):
        raise ValueError("must be such as smtps://user:password@host:465 or smtp://host:587")
    return text


def parse_http_url(text: str) -> str:
    """A URL of a website or of an HTTP endpoint, without a slash at its end."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http:// or https:// URL, without a query")
    return text.rstrip("/")
