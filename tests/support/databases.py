"""Databases for tests: one embedded server per run, one migrated database per worker."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import flask_migrate
import psycopg
from psycopg import sql

from config import Settings
from taskapi import create_app, embedded
from taskapi.tasks.models import RULES

KEY = "a key for tests, which is long enough for HS256"
MIGRATIONS = str(Path(__file__).parents[2] / "migrations")


def data_folder() -> Path:
    """The data directory of all services of this run, where they write mails."""
    return Path(os.environ["TASKAPI_TEST_FOLDER"]) / "data"


@contextmanager
def server(folder: Path, *, is_durable: bool = False) -> Iterator[str]:
    """The URL of a server with its data in this directory. Workers with the same one share it.

    Args:
        is_durable: whether commits survive a crash, which most tests do not need.
    """
    settings = Settings(taskapi_data_dir=folder, jwt_secret_key=KEY)
    with embedded.provide(settings) as provided:
        assert provided.database_url
        with psycopg.connect(provided.database_url, autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                value = "on" if is_durable else "off"
                connection.execute(f"ALTER SYSTEM SET {setting} = {value}")
            connection.execute("SELECT pg_reload_conf()")
        yield provided.database_url


def settings_for(url: str, **changes: object) -> Settings:
    """Settings for tests: cheap password hashes and no rate limits; `changes` override them."""
    settings = Settings(
        database_url=url,
        jwt_secret_key=KEY,
        bcrypt_rounds=4,
        ratelimit_enabled=False,
        # A test that repeats each operation creates many.
        quota_workspaces=10_000,
        log_format="json",
        log_level="info",
        taskapi_data_dir=data_folder(),
    )
    return replace(settings, **changes)


def named(url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def migrated_template(url: str, folder: Path) -> str:
    """The name of a migrated template database, which the first worker creates."""
    name = "template_taskapi"
    with (folder / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if found.fetchone():
                return name
        create(url, name)
        migrate(named(url, name))
    return name


def create(url: str, name: str, template: str = "template0", locale: str | None = None) -> str:
    """Create a database from a template, in the template's locale by default. Returns its URL."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    statement = statement.format(sql.Identifier(name), sql.Identifier(template))
    if locale:
        statement += sql.SQL(" LOCALE {}").format(sql.Literal(locale))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
    return named(url, name)


def migrate(url: str, revision: str = "head") -> None:
    """Migrate a database up to a revision."""
    with create_app(settings_for(url, log_level="warning")).app_context():
        flask_migrate.upgrade(MIGRATIONS, revision)


def violated_rules(url: str) -> list[str]:
    """The names of the rules that a task in this database violates."""
    with psycopg.connect(url) as connection:
        return [
            name
            for name, rule in RULES.items()
            if connection.execute(f"SELECT 1 FROM tasks WHERE NOT ({rule})".encode()).fetchone()
        ]
