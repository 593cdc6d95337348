"""Databases for tests: one embedded server for the run, one migrated database a worker."""

from __future__ import annotations

import fcntl
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

KEY = "a key for tests, which is long enough for HS256"
MIGRATIONS = str(Path(__file__).parents[2] / "migrations")


@contextmanager
def server(folder: Path, *, is_durable: bool = False) -> Iterator[str]:
    """The URL of a server with its data in this folder; workers that name the same share it.

    Args:
        is_durable: whether a commit outlives the server; most tests would only wait for that.
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
    """The settings of tests: cheap passwords, no rate limits, few logs; with overrides."""
    settings = Settings(
        database_url=url,
        jwt_secret_key=KEY,
        bcrypt_rounds=4,
        ratelimit_enabled=False,
        log_format="json",
        log_level="info",
    )
    return replace(settings, **changes)


def named(url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def migrated_template(url: str, folder: Path) -> str:
    """The name of the migrated template database. The first process creates it."""
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


def create(url: str, name: str, template: str = "template0") -> str:
    """A new database, copied from another; its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
    return named(url, name)


def migrate(url: str, revision: str = "head") -> None:
    """Bring a database to a revision, upwards."""
    with create_app(settings_for(url, log_level="warning")).app_context():
        flask_migrate.upgrade(MIGRATIONS, revision)
