"""Settings: how values are parsed, and the message for each invalid one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from config import ConfigError, Settings
from config_oidc import OidcProvider

ROOT = Path(__file__).parents[1]
KEY = "k" * 32
DATABASE = {"DATABASE_URL": "postgresql://db.example.com/tasks", "JWT_SECRET_KEY": KEY}
MAIL = {"MAIL_URL": "smtps://mail.example.com", "MAIL_FROM": "tasks@example.com"}

_ONE = '{"name": "a", "issuer": "https://id.example.com", "client_id": "b", "client_secret": "c"}'


def _provider(**changes: object) -> str:
    """The setting for one provider."""
    return json.dumps([json.loads(_ONE) | changes])


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DATABASE_URL", "mysql://db/tasks", "must be a postgres:// or postgresql:// URL"),
        ("DATABASE_URL", "db.example.com", "must be a postgres:// or postgresql:// URL"),
        ("DATABASE_URL_DIRECT", "http://db", "must be a postgres:// or postgresql:// URL"),
        ("DATABASE_URL_REPLICA", "http://db", "must be a postgres:// or postgresql:// URL"),
        ("DATABASE_POOL_SIZE", "0", "must be a whole number from 1 to 100"),
        ("DATABASE_POOL_TIMEOUT", "31", "must be a whole number from 1 to 30"),
        ("DATABASE_PREPARE", "maybe", "must be true or false"),
        ("DATABASE_SHARDED", "maybe", "must be true or false"),
        ("JWT_ACCESS_TOKEN_EXPIRES", "59", "must be a whole number from 60 to 31536000"),
        ("SESSION_EXPIRES", "forever", "must be a whole number from 60 to 31536000"),
        ("BCRYPT_ROUNDS", "17", "must be a whole number from 4 to 16"),
        ("CORS_ORIGINS", "*", "must list origins such as https://app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/path", "must list origins such as"),
        ("CORS_ORIGINS", "https://", "must list origins such as"),
        ("CORS_ORIGINS", "https://a.example.com,null", "must list origins such as"),
        ("TRUSTED_PROXY_HOPS", "-1", "must be a whole number from 0 to 10"),
        ("RATELIMIT_ENABLED", "2", "must be true or false"),
        ("JOBS_POLL_SECONDS", "0", "must be a whole number from 1 to 86400"),
        ("MAIL_URL", "mail.example.com", "must be such as smtps://user:password@host:465"),
        ("MAIL_URL", "https://mail.example.com", "must be such as smtps://"),
        ("MAIL_URL", "smtp://", "must be such as smtps://"),
        ("MAIL_URL", "smtp://mail.example.com:port", "must be such as smtps://"),
        ("MAIL_FROM", "Tasks", "must be an address such as Tasks <noreply@example.com>"),
        ("MAIL_FROM", "a@example.com, b@example.com", "must be an address such as"),
        ("MAIL_FROM", "a@example.com\r\nBcc: b@example.com", "must be an address such as"),
        ("APP_URL", "app.example.com", "must be an http:// or https:// URL"),
        ("APP_URL", "javascript:alert(1)", "must be an http:// or https:// URL"),
        ("APP_URL", "https://app.example.com/?a=b", "must be an http:// or https:// URL"),
        ("PUBLIC_URL", "//api.example.com", "must be an http:// or https:// URL"),
        ("REQUIRE_VERIFIED_EMAIL", "always", "must be true or false"),
        ("PORT", "65536", "must be a whole number from 1 to 65535"),
        ("PORT", "8_000", "must be a whole number from 1 to 65535"),
        ("PORT", "٨٠٠٠", "must be a whole number from 1 to 65535"),
        ("WEB_CONCURRENCY", "1.5", "must be a whole number from 1 to 64"),
        ("LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
        ("LOG_FORMAT", "xml", "must be one of json, text"),
        ("OIDC_REDIRECT_URIS", "http://app.example.com/", "must list addresses such as"),
        ("OIDC_REDIRECT_URIS", "https://*.example.com/", "must list addresses such as"),
        ("OIDC_REDIRECT_URIS", "https://app.example.com/#a", "must list addresses such as"),
        ("OIDC_REDIRECT_URIS", "javascript:alert(1)", "must list addresses such as"),
        ("OIDC_REDIRECT_URIS", "/signed-in", "must list addresses such as"),
        ("OIDC_PROVIDERS", "google", "must be a JSON array of objects like"),
        ("OIDC_PROVIDERS", "7", "must be a JSON array of objects like"),
        ("OIDC_PROVIDERS", '[{"name": "a", "issuer": "https://a.b"}]', "must be a JSON array"),
        ("OIDC_PROVIDERS", _provider(more="secret"), "must be a JSON array of objects like"),
        ("OIDC_PROVIDERS", _provider(client_secret=7), "must have strings as values"),
        ("OIDC_PROVIDERS", _provider(client_id=""), "must have strings as values, and a client_id"),
        ("OIDC_PROVIDERS", _provider(name="A/b"), "must have names of lower-case letters"),
        ("OIDC_PROVIDERS", _provider(issuer="http://a.b"), "must have issuers like https://"),
        ("OIDC_PROVIDERS", _provider(issuer="https://a.b?c"), "must have issuers like https://"),
        ("OIDC_PROVIDERS", _provider(issuer=f"https://a.b/{'c' * 250}"), "must have issuers like"),
        ("OIDC_PROVIDERS", _provider(scope="email"), "must have openid in each scope"),
        ("OIDC_PROVIDERS", f"[{_ONE}, {_ONE}]", "must have a name and an issuer of its own"),
    ],
)
def test_an_invalid_value_is_reported_with_the_rule(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} {re.escape(sentence)}"):
        Settings.from_environment(DATABASE | {name: value})


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"DATABASE_URL": DATABASE["DATABASE_URL"]},
            "JWT_SECRET_KEY is not set. Generate one with: ",
        ),
        (DATABASE | {"MAIL_URL": "smtps://mail.example.com"}, "MAIL_FROM is not set. Set it to"),
        (DATABASE | MAIL, "APP_URL is not set. Set it to the front end"),
        (DATABASE | {"JWT_SECRET_KEY": "k" * 31}, "is shorter than 32 bytes. Generate one with: "),
        (DATABASE | {"JWT_PREVIOUS_SECRET_KEYS": f"{KEY},old"}, "is shorter than 32 bytes"),
        ({"JWT_SECRET_KEY": "short"}, "is shorter than 32 bytes"),
        (
            {"JWT_ACCESS_TOKEN_EXPIRES": "3600", "SESSION_EXPIRES": "60"},
            "SESSION_EXPIRES must not be shorter than JWT_ACCESS_TOKEN_EXPIRES",
        ),
        (
            {"OIDC_PROVIDERS": f"[{_ONE}]"},
            "OIDC_REDIRECT_URIS is not set. OIDC_PROVIDERS requires it.",
        ),
        (
            {
                "OIDC_PROVIDERS": f"[{_ONE}]",
                "OIDC_REDIRECT_URIS": "https://app.example.com/",
                "PUBLIC_URL": "http://api.example.com",
            },
            "PUBLIC_URL must be an https URL, because OIDC_PROVIDERS is set.",
        ),
        ({"DATABASE_URL_DIRECT": DATABASE["DATABASE_URL"]}, "DIRECT is set without DATABASE_URL"),
        ({"DATABASE_URL_REPLICA": DATABASE["DATABASE_URL"]}, "REPLICA is set without DATABASE_URL"),
    ],
)
def test_unsafe_combinations_of_settings_are_rejected(
    environ: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        Settings.from_environment(environ)


def test_an_invalid_setting_ends_the_process_with_its_message() -> None:
    started = subprocess.run(
        [sys.executable, "-c", "import config; config.settings_or_exit()"],
        cwd=ROOT,
        env={"PATH": os.defpath, "LOG_LEVEL": "loud"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert started.returncode == 1
    assert started.stderr == (
        "taskapi cannot start: LOG_LEVEL must be one of debug, info, warning, error.\n"
    )


def test_the_default_is_the_embedded_database_on_localhost() -> None:
    settings = Settings.from_environment({})
    assert settings.is_embedded
    assert (settings.host, settings.port, settings.log_format) == ("127.0.0.1", 8000, "text")


def test_a_configured_database_implies_the_defaults_of_a_container() -> None:
    settings = Settings.from_environment(DATABASE)
    assert not settings.is_embedded
    assert (settings.host, settings.log_format) == ("0.0.0.0", "json")


def test_an_empty_variable_counts_as_unset() -> None:
    empty = {setting.name.upper(): "" for setting in fields(Settings)}
    assert Settings.from_environment(empty) == Settings.from_environment({})


def test_values_are_read() -> None:
    settings = Settings.from_environment(
        DATABASE
        | {
            "DATABASE_URL": "postgres://u:p@db.example.com/t?sslmode=require&channel_binding=require",
            "DATABASE_PREPARE": "TRUE",
            "JWT_PREVIOUS_SECRET_KEYS": f"{'a' * 32}, {'b' * 32}",
            "CORS_ORIGINS": "https://app.example.com/, http://localhost:3000",
            "RATELIMIT_ENABLED": "no",
            "LOG_LEVEL": "DEBUG",
            "HOST": "::1",
            "PUBLIC_URL": "https://api.example.com/",
            "OIDC_PROVIDERS": f"[{_ONE}]",
            "OIDC_REDIRECT_URIS": "https://app.example.com/, http://localhost:3000/a, com.a:/b",
            "TASKAPI_DATA_DIR": "/srv/data",
        }
    )
    assert settings.database_url is not None
    assert settings.database_url.endswith("channel_binding=require")
    assert settings.database_prepare
    assert settings.jwt_previous_secret_keys == ("a" * 32, "b" * 32)
    assert settings.cors_origins == ("https://app.example.com", "http://localhost:3000")
    assert not settings.ratelimit_enabled
    assert (settings.log_level, settings.host) == ("debug", "::1")
    assert settings.taskapi_data_dir == Path("/srv/data")
    assert settings.public_url == "https://api.example.com"
    assert settings.oidc_providers == (OidcProvider("a", "https://id.example.com", "b", "c"),)
    assert "'c'" not in repr(settings)
    expected = ("https://app.example.com/", "http://localhost:3000/a", "com.a:/b")
    assert settings.oidc_redirect_uris == expected


def test_the_example_file_lists_each_setting_with_description_and_default() -> None:
    text = (ROOT / ".env.example").read_text()
    documented = re.findall(r"^# (.+)\n# ([A-Z_]+)=(.*)$", text, re.MULTILINE)
    assert documented == [
        (
            setting.metadata["about"].replace("`", ""),
            setting.name.upper(),
            _written(setting.default),
        )
        for setting in fields(Settings)
    ]


def _written(default: object) -> str:
    if default is None or default == ():
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)
