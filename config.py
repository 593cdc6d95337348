"""Settings: the only module that reads the environment.

Each field of `Settings` is one environment variable of the same name in capitals; its metadata is
the sentence that the README's table and `.env.example` carry.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MINIMUM_KEY_BYTES = 32
"""An HS256 key must be at least as long as the hash, RFC 7518 section 3.2."""

_NEW_KEY = 'python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


class ConfigError(Exception):
    """A setting is missing, malformed or too weak; the message says what to do."""


def _setting(
    default: Any, about: str, parse: Callable[[str], Any] = str, *, secret: bool = False
) -> Any:
    metadata = {"about": about, "parse": parse}
    return field(default=default, metadata=metadata, repr=not secret)


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in known:
        raise ValueError("must be true or false")
    return known[text.lower()]


def _integer(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text.lower()

    return parse


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.rstrip("/") for origin in _words(text))
    for origin in origins:
        parts = urlsplit(origin)
        is_origin = origin == f"{parts.scheme}://{parts.netloc}" and parts.hostname
        if not is_origin or "*" in origin or parts.scheme not in ("http", "https"):
            raise ValueError(
                "must list origins such as https://app.example.com, separated by commas"
                " (no path, and no *: cookies and tokens are sent to named origins only)"
            )
    return origins


def _database_url(text: str) -> str:
    if urlsplit(text).scheme not in ("postgres", "postgresql"):
        raise ValueError("must be a postgres:// or postgresql:// URL")
    return text


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the service can be told. Durations are in seconds."""

    database_url: str | None = _setting(
        None,
        "PostgreSQL to use, as Neon or Heroku give it; unset: an embedded server is started",
        _database_url,
        secret=True,
    )
    database_url_direct: str | None = _setting(
        None,
        "the same database without its pooler, for migrations; unset: `DATABASE_URL`",
        _database_url,
        secret=True,
    )
    database_url_replica: str | None = _setting(
        None,
        "a streaming replica of it, which then reads pages of tasks and lists where it is not"
        " behind; unset: none",
        _database_url,
        secret=True,
    )
    database_pool_size: int = _setting(
        8, "database connections of one worker; small pools are faster", _integer(1, 100)
    )
    database_pool_timeout: int = _setting(
        2,
        "seconds to wait for a free connection before answering 503; a statement has 0.4 s more",
        _integer(1, 30),
    )
    database_prepare: bool = _setting(
        False,
        "prepare statements on the server: faster, but not behind PgBouncer before 1.22",
        _boolean,
    )
    jwt_secret_key: str | None = _setting(
        None,
        "key that signs access tokens, at least 32 bytes; needed with `DATABASE_URL`,"
        " else made once and kept in the data directory",
        secret=True,
    )
    jwt_previous_secret_keys: tuple[str, ...] = _setting(
        (),
        "earlier keys, separated by commas: their tokens stay valid until they expire",
        _words,
        secret=True,
    )
    jwt_access_token_expires: int = _setting(
        86_400, "life of an access token in seconds", _integer(60, 31_536_000)
    )
    session_expires: int = _setting(
        2_592_000,
        "seconds without a refresh after which a session ends, and with it its refresh token",
        _integer(60, 31_536_000),
    )
    bcrypt_rounds: int = _setting(
        12, "cost of a password hash, as a power of two; 12 takes about 0.25 s", _integer(4, 16)
    )
    cors_origins: tuple[str, ...] = _setting(
        (), "origins whose pages may call the API, separated by commas", _origins
    )
    trusted_proxy_hops: int = _setting(
        0, "proxies in front whose X-Forwarded-* headers are believed", _integer(0, 10)
    )
    ratelimit_enabled: bool = _setting(True, "limit attempts on the account calls", _boolean)
    ratelimit_storage_uri: str | None = _setting(
        None,
        "where attempts are counted, such as redis://host:6379; unset: the database",
        secret=True,
    )
    host: str | None = _setting(
        None, "address to listen on; unset: 127.0.0.1 with the embedded server, else 0.0.0.0"
    )
    port: int = _setting(8000, "port to listen on", _integer(1, 65_535))
    web_concurrency: int = _setting(2, "worker processes", _integer(1, 64))
    metrics_port: int | None = _setting(
        None,
        "port that shows metrics to Prometheus, of all workers; unset: nothing is counted",
        _integer(1, 65_535),
    )
    metrics_host: str = _setting(
        "127.0.0.1", "address of that port; whoever reaches it can read it"
    )
    otel_exporter_otlp_endpoint: str | None = _setting(
        None,
        "where traces go (OTLP over HTTP), such as http://collector:4318; unset: none are made",
    )
    sentry_dsn: str | None = _setting(
        None,
        "where unforeseen errors are reported, as Sentry gives it; unset: only in the log",
        secret=True,
    )
    log_level: str = _setting(
        "info", "debug, info, warning or error", _choice("debug", "info", "warning", "error")
    )
    log_format: str | None = _setting(
        None,
        "json or text; unset: text with the embedded server, else json",
        _choice("json", "text"),
    )
    taskapi_data_dir: Path = _setting(
        Path("instance"), "folder of the embedded database and of its generated key", Path
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read and check the settings.

        An empty variable counts as unset.

        Raises:
            ConfigError: a value is malformed, or the settings are unsafe together.
        """
        values = {}
        for setting in fields(cls):
            text = environ.get(setting.name.upper(), "")
            if not text:
                continue
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as error:
                raise ConfigError(f"{setting.name.upper()} {error}.") from None
        return _checked(cls(**values))

    @property
    def is_embedded(self) -> bool:
        """Whether no database was named, so that the embedded server is to be used."""
        return self.database_url is None


def settings_or_exit(check: Callable[[Settings], None] | None = None) -> Settings:
    """The settings of this process; a bad one ends it with the sentence that says what to do.

    Args:
        check: a further check, which raises ConfigError.
    """
    try:
        settings = Settings.from_environment()
        if check:
            check(settings)
        return settings
    except ConfigError as error:
        sys.exit(f"taskapi cannot start: {error}")


def _checked(settings: Settings) -> Settings:
    if settings.metrics_port == settings.port:
        raise ConfigError("METRICS_PORT must not be PORT: metrics are not for everybody.")
    if settings.session_expires < settings.jwt_access_token_expires:
        raise ConfigError("SESSION_EXPIRES must not be shorter than JWT_ACCESS_TOKEN_EXPIRES.")
    for name in ("database_url_direct", "database_url_replica"):
        if settings.is_embedded and getattr(settings, name):
            raise ConfigError(f"{name.upper()} is set without DATABASE_URL: set both, or neither.")
    if not settings.is_embedded and not settings.jwt_secret_key:
        raise ConfigError(f"JWT_SECRET_KEY is not set. Make one with: {_NEW_KEY}")
    for key in filter(None, (settings.jwt_secret_key, *settings.jwt_previous_secret_keys)):
        if len(key.encode()) < MINIMUM_KEY_BYTES:
            raise ConfigError(
                "JWT_SECRET_KEY (or one of JWT_PREVIOUS_SECRET_KEYS) is shorter than"
                f" {MINIMUM_KEY_BYTES} bytes. Make one with: {_NEW_KEY}"
            )
    return replace(
        settings,
        host=settings.host or ("127.0.0.1" if settings.is_embedded else "0.0.0.0"),
        log_format=settings.log_format or ("text" if settings.is_embedded else "json"),
    )
