"""Settings: the only module that reads the environment.

Each field of `Settings` is read from the environment variable of the same name in upper case. Its
`about` text is repeated in the README's table and in `.env.example`, which tests compare.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MINIMUM_KEY_BYTES = 32
"""An HS256 key must be at least as long as the hash output (RFC 7518 section 3.2)."""

_NEW_KEY = 'python3 -c "import secrets; print(secrets.token_urlsafe(48))"'


class ConfigError(Exception):
    """A setting is missing, malformed or too weak. The message says how to correct it."""


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


@dataclass(frozen=True)
class OidcProvider:
    """An OpenID Connect provider, and the client that is registered there for this service."""

    name: str
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scope: str = "openid email"


def _oidc_providers(text: str) -> tuple[OidcProvider, ...]:
    try:
        providers = tuple(OidcProvider(**one) for one in json.loads(text))
    except (ValueError, TypeError):
        # The cause contains the secrets.
        raise ValueError(
            'must be a JSON array of objects like {"name": "example", "issuer":'
            ' "https://id.example.com", "client_id": "...", "client_secret": "..."}'
        ) from None
    for one in providers:
        texts = [one.name, one.issuer, one.client_id, one.client_secret or "", one.scope]
        if not all(isinstance(value, str) for value in texts) or not one.client_id:
            raise ValueError("must have strings as values, and a client_id in each provider")
        if not re.fullmatch("[a-z0-9-]{1,32}", one.name):
            raise ValueError("must have names of lower-case letters, digits and hyphens")
        is_short = len(one.issuer) <= 255
        if not is_short or not is_secure_url(one.issuer) or set("?#") & set(one.issuer):
            raise ValueError("must have issuers like https://id.example.com, without ? and #")
        if "openid" not in one.scope.split():
            raise ValueError("must have openid in each scope")
    if len({one.name for one in providers} | {one.issuer for one in providers}) < 2 * len(
        providers
    ):
        raise ValueError("must have a name and an issuer of its own for each provider")
    return providers


def is_secure_url(url: str) -> bool:
    """Whether a URL is https, or http on this machine."""
    parts = urlsplit(url)
    is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_local)
    )


def _redirect_uris(text: str) -> tuple[str, ...]:
    uris = _words(text)
    for uri in uris:
        parts = urlsplit(uri)
        # An app's own scheme is a reversed domain (RFC 8252 section 7.1).
        is_of_app = "." in parts.scheme and bool(parts.path)
        if not (is_secure_url(uri) or is_of_app) or set("#*\\ ") & set(uri):
            raise ValueError(
                "must list addresses such as https://app.example.com/signed-in or"
                " com.example.app:/signed-in, separated by commas (no # and no *)"
            )
    return uris


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if not is_secure_url(text) or parts.query or parts.fragment:
        raise ValueError("must be a URL such as https://api.example.com, without ? and #")
    return text.rstrip("/")


def _database_url(text: str) -> str:
    if urlsplit(text).scheme not in ("postgres", "postgresql"):
        raise ValueError("must be a postgres:// or postgresql:// URL")
    return text


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of the service. Durations are in seconds."""

    database_url: str | None = _setting(
        None,
        "PostgreSQL URL, as Neon or Heroku provide it; unset: an embedded server is started",
        _database_url,
        secret=True,
    )
    database_url_direct: str | None = _setting(
        None,
        "URL of the same database without its pooler, for migrations; unset: `DATABASE_URL`",
        _database_url,
        secret=True,
    )
    database_url_replica: str | None = _setting(
        None,
        "URL of a streaming replica, which serves pages of lists while it is up to date;"
        " unset: no replica",
        _database_url,
        secret=True,
    )
    database_pool_size: int = _setting(
        8, "database connections per worker process; small pools are faster", _integer(1, 100)
    )
    database_pool_timeout: int = _setting(
        2,
        "seconds to wait for a free connection before a 503; a statement must end 0.4 s later",
        _integer(1, 30),
    )
    database_prepare: bool = _setting(
        False,
        "use prepared statements: faster, but PgBouncer supports them only since 1.22",
        _boolean,
    )
    jwt_secret_key: str | None = _setting(
        None,
        "key that signs access tokens, at least 32 bytes; required with `DATABASE_URL`,"
        " otherwise generated once and stored in the data directory",
        secret=True,
    )
    jwt_previous_secret_keys: tuple[str, ...] = _setting(
        (),
        "previous keys, separated by commas; their tokens stay valid until they expire",
        _words,
        secret=True,
    )
    jwt_access_token_expires: int = _setting(
        86_400, "lifetime of an access token in seconds", _integer(60, 31_536_000)
    )
    session_expires: int = _setting(
        2_592_000,
        "seconds without a refresh after which a session and its refresh token expire",
        _integer(60, 31_536_000),
    )
    quota_tasks: int = _setting(100_000, "tasks in a workspace", _integer(1, 10**9))
    quota_lists: int = _setting(1_000, "lists in a workspace", _integer(1, 10**9))
    quota_labels: int = _setting(1_000, "labels in a workspace", _integer(1, 10**9))
    quota_filters: int = _setting(1_000, "saved filters in a workspace", _integer(1, 10**9))
    quota_occurrences: int = _setting(
        1_000_000,
        "completed and skipped occurrences of recurring tasks in a workspace",
        _integer(1, 10**9),
    )
    quota_sessions: int = _setting(
        200,
        "sessions of an account; a login beyond it ends the session unused for longest",
        _integer(1, 10**6),
    )
    quota_text_bytes: int = _setting(
        100_000_000,
        "bytes of titles and descriptions of tasks in a workspace",
        _integer(1, 10**12),
    )
    bcrypt_rounds: int = _setting(
        12, "bcrypt cost factor of passwords; 12 takes about 0.25 s per hash", _integer(4, 16)
    )
    cors_origins: tuple[str, ...] = _setting(
        (),
        "origins of front ends that may call the API, separated by commas, such as"
        " https://app.example.com, capacitor://localhost, https://*.example.com",
        _origins,
    )
    trusted_proxy_hops: int = _setting(
        0, "number of reverse proxies whose X-Forwarded-* headers are trusted", _integer(0, 10)
    )
    ratelimit_enabled: bool = _setting(
        True, "limit the rate of logins, registrations and other account requests", _boolean
    )
    ratelimit_storage_uri: str | None = _setting(
        None,
        "store of the rate limit counters, such as redis://host:6379; unset: the database",
        secret=True,
    )
    public_url: str | None = _setting(
        None,
        "URL of this service for browsers, such as https://api.example.com; required with"
        " `OIDC_PROVIDERS`",
        _public_url,
    )
    oidc_providers: tuple[OidcProvider, ...] = _setting(
        (),
        "OpenID Connect providers to sign in with, as a JSON array of objects with name, issuer,"
        " client_id, client_secret and scope; see docs/operate.md",
        _oidc_providers,
        secret=True,
    )
    oidc_redirect_uris: tuple[str, ...] = _setting(
        (),
        "addresses of front ends to which a sign-in returns, separated by commas; required with"
        " `OIDC_PROVIDERS`",
        _redirect_uris,
    )
    host: str | None = _setting(
        None,
        "address to listen on; unset: 127.0.0.1 with the embedded server, otherwise 0.0.0.0",
    )
    port: int = _setting(8000, "port to listen on", _integer(1, 65_535))
    web_concurrency: int = _setting(2, "number of worker processes", _integer(1, 64))
    metrics_port: int | None = _setting(
        None,
        "port that serves Prometheus metrics of all workers; unset: metrics are off",
        _integer(1, 65_535),
    )
    metrics_host: str = _setting(
        "127.0.0.1", "address of the metrics port; it has no authentication"
    )
    otel_exporter_otlp_endpoint: str | None = _setting(
        None,
        "OTLP/HTTP endpoint for traces, such as http://collector:4318; unset: tracing is off",
    )
    sentry_dsn: str | None = _setting(
        None,
        "Sentry DSN for reports of unexpected errors; unset: they are only logged",
        secret=True,
    )
    log_level: str = _setting(
        "info", "debug, info, warning or error", _choice("debug", "info", "warning", "error")
    )
    log_format: str | None = _setting(
        None,
        "json or text; unset: text with the embedded server, otherwise json",
        _choice("json", "text"),
    )
    taskapi_data_dir: Path = _setting(
        Path("instance"), "directory of the embedded database and the generated key", Path
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read and validate the settings. An empty variable counts as unset.

        Raises:
            ConfigError: a value is malformed, or values contradict each other.
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
        """Whether the embedded server is used, because no database URL is set."""
        return self.database_url is None


def settings_or_exit(check: Callable[[Settings], None] | None = None) -> Settings:
    """The settings of this process. An invalid one prints its error and exits the process.

    Args:
        check: an additional check, which raises ConfigError.
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
        raise ConfigError("METRICS_PORT must differ from PORT, because metrics are not public.")
    if settings.session_expires < settings.jwt_access_token_expires:
        raise ConfigError("SESSION_EXPIRES must not be shorter than JWT_ACCESS_TOKEN_EXPIRES.")
    for name in ("database_url_direct", "database_url_replica"):
        if settings.is_embedded and getattr(settings, name):
            raise ConfigError(f"{name.upper()} is set without DATABASE_URL. Set both or neither.")
    if not settings.is_embedded and not settings.jwt_secret_key:
        raise ConfigError(f"JWT_SECRET_KEY is not set. Generate one with: {_NEW_KEY}")
    for name in ("public_url", "oidc_redirect_uris"):
        if settings.oidc_providers and not getattr(settings, name):
            raise ConfigError(f"{name.upper()} is not set. OIDC_PROVIDERS requires it.")
    for key in filter(None, (settings.jwt_secret_key, *settings.jwt_previous_secret_keys)):
        if len(key.encode()) < MINIMUM_KEY_BYTES:
            raise ConfigError(
                "JWT_SECRET_KEY (or one of JWT_PREVIOUS_SECRET_KEYS) is shorter than"
                f" {MINIMUM_KEY_BYTES} bytes. Generate one with: {_NEW_KEY}"
            )
    return replace(
        settings,
        host=settings.host or ("127.0.0.1" if settings.is_embedded else "0.0.0.0"),
        log_format=settings.log_format or ("text" if settings.is_embedded else "json"),
    )
