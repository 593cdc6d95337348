"""Settings: the only module that reads the environment.

Each field of `Settings` is read from the environment variable of the same name in upper case. Its
`about` text is repeated in the README's table and in `.env.example`, which tests compare.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from email.policy import SMTP
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from config_oidc import OidcProvider, is_secure_url, oidc_providers, redirect_uris

MINIMUM_KEY_BYTES = 32
"""An HS256 key must be at least as long as the hash output (RFC 7518 section 3.2)."""

_NO_SENDER = "taskapi <noreply@localhost>"

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


def _issuer(text: str) -> str:
    if len(text) > 50 or ":" in text or not text.isprintable():
        raise ValueError("must have at most 50 printable characters, and no colon")
    return text


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


def _database_url(text: str) -> str:
    if urlsplit(text).scheme not in ("postgres", "postgresql"):
        raise ValueError("must be a postgres:// or postgresql:// URL")
    return text


def _mail_url(text: str) -> str:
    parts = urlsplit(text)
    try:
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if parts.scheme not in ("smtp", "smtps") or not is_valid or parts.path.strip("/"):
        raise ValueError("must be such as smtps://user:password@host:465 or smtp://host:587")
    return text


def _mailbox(text: str) -> str:
    found = SMTP.header_factory("From", text) if text.isprintable() else None
    if found is None or found.defects or len(found.addresses) != 1 or not found.addresses[0].domain:
        raise ValueError("must be an address such as Tasks <noreply@example.com>")
    return text


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http:// or https:// URL, without a query")
    return text.rstrip("/")


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
    database_sharded: bool = _setting(
        False,
        "whether the database is a Citus cluster: rows are created by several statements that use"
        " one shard each; see docs/scale.md",
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
    quota_comments: int = _setting(100_000, "comments in a workspace", _integer(1, 10**9))
    quota_sessions: int = _setting(
        200,
        "sessions of an account; a login beyond it ends the session unused for longest",
        _integer(1, 10**6),
    )
    quota_tokens: int = _setting(
        100, "valid personal access tokens of an account", _integer(1, 10**6)
    )
    quota_workspaces: int = _setting(
        20, "shared workspaces that an account owns", _integer(0, 10**6)
    )
    quota_members: int = _setting(100, "members of a shared workspace", _integer(1, 1_000))
    quota_invitations: int = _setting(
        100, "open invitations to a shared workspace", _integer(1, 1_000)
    )
    quota_text_bytes: int = _setting(
        100_000_000,
        "bytes of titles and descriptions of tasks, and of comments, in a workspace",
        _integer(1, 10**12),
    )
    bcrypt_rounds: int = _setting(
        12, "bcrypt cost factor of passwords; 12 takes about 0.25 s per hash", _integer(4, 16)
    )
    second_factor_issuer: str = _setting(
        "taskapi", "name of the service in authenticator apps, beside the email", _issuer
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
    oidc_providers: tuple[OidcProvider, ...] = _setting(
        (),
        "OpenID Connect providers to sign in with, as a JSON array of objects with name, issuer,"
        " client_id, client_secret and scope; see docs/operate.md",
        oidc_providers,
        secret=True,
    )
    oidc_redirect_uris: tuple[str, ...] = _setting(
        (),
        "addresses of front ends to which a sign-in returns, separated by commas; required with"
        " `OIDC_PROVIDERS`",
        lambda text: redirect_uris(_words(text)),
    )
    jobs_poll_seconds: int = _setting(
        5,
        "seconds between a worker's queries for jobs that other machines have queued",
        _integer(1, 86_400),
    )
    mail_url: str | None = _setting(
        None,
        "mail server, such as smtps://user:password@host:465, or smtp:// for STARTTLS; requires"
        " `APP_URL` or `PUBLIC_URL`; unset: messages are written to `mail/` in the data directory",
        _mail_url,
        secret=True,
    )
    mail_from: str = _setting(_NO_SENDER, "sender of messages; required with `MAIL_URL`", _mailbox)
    mail_templates: Path | None = _setting(
        None, "directory of templates that replace those of messages", Path
    )
    app_url: str | None = _setting(
        None,
        "URL of the front end, to which links in messages lead; unset: pages of the service",
        _http_url,
    )
    public_url: str | None = _setting(
        None,
        "URL of this service for browsers, such as https://api.example.com; unset:"
        " http://localhost with `PORT`",
        _http_url,
    )
    require_verified_email: bool = _setting(
        False, "return 403 for everything but `/auth` until the email is verified", _boolean
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
        Path("instance"), "directory of the embedded database, the generated key and messages", Path
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
    if settings.mail_url and settings.mail_from == _NO_SENDER:
        raise ConfigError("MAIL_FROM is not set. Set it to the sender of messages.")
    if settings.mail_url and not (settings.app_url or settings.public_url):
        raise ConfigError(
            "APP_URL is not set. Set it to the front end that links in messages lead to, or set"
            " PUBLIC_URL to this service, which has pages for them."
        )
    if settings.session_expires < settings.jwt_access_token_expires:
        raise ConfigError("SESSION_EXPIRES must not be shorter than JWT_ACCESS_TOKEN_EXPIRES.")
    for name in ("database_url_direct", "database_url_replica"):
        if settings.is_embedded and getattr(settings, name):
            raise ConfigError(f"{name.upper()} is set without DATABASE_URL. Set both or neither.")
    if not settings.is_embedded and not settings.jwt_secret_key:
        raise ConfigError(f"JWT_SECRET_KEY is not set. Generate one with: {_NEW_KEY}")
    _check_providers(settings)
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


def _check_providers(settings: Settings) -> None:
    if not settings.oidc_providers:
        return
    if not settings.oidc_redirect_uris:
        raise ConfigError("OIDC_REDIRECT_URIS is not set. OIDC_PROVIDERS requires it.")
    if settings.public_url and not is_secure_url(settings.public_url):
        raise ConfigError("PUBLIC_URL must be an https URL, because OIDC_PROVIDERS is set.")
