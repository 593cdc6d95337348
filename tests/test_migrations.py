"""Migrations: up, down and up again, concurrently and with data; and the constraints of tables."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import flask_migrate
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from psycopg import errors, sql
from support import databases, world

from taskapi import create_app
from taskapi.embedded.server import binaries
from taskapi.extensions import db
from taskapi.server.health.service import migration_head

SCRIPTS = ScriptDirectory(databases.MIGRATIONS)
HISTORY = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
_numbers = itertools.count(1)

SCHEMA = """
SELECT 'table', relname, relpersistence::text, coalesce(reloptions::text, '')
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'column', attrelid::regclass::text, attname,
       concat_ws(' ', format_type(atttypid, atttypmod), collname, attnotnull, attidentity,
                 pg_get_expr(adbin, adrelid))
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
LEFT JOIN pg_collation ON pg_collation.oid = attcollation
WHERE relkind = 'r' AND attnum > 0 AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""

NOT_VALID = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE NOT convalidated"


@pytest.fixture
def empty(server_url: str, worker_id: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"migrated_{worker_id}_{next(_numbers)}"
    yield databases.create(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def validated(server_url: str, template: str, worker_id: str) -> Iterator[str]:
    """The URL of a migrated database whose constraints are valid, as a later migration makes them.

    Alembic cannot compare a constraint that is not valid.
    """
    name = f"validated_{worker_id}_{next(_numbers)}"
    url = databases.create(server_url, name, template)
    for table, constraint in _rows(url, NOT_VALID):
        _rows(url, f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")
    yield url
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    return world.sql(databases.settings_for(url), statement)


def _schema(url: str) -> set[tuple[str, ...]]:
    return {row for row in _rows(url, SCHEMA) if row[1] != "alembic_version"}


def _fill(url: str) -> None:
    """Insert rows into each of the first tables."""
    _rows(
        url,
        "INSERT INTO users (email, hashed_password)"
        " SELECT gen_random_uuid() || '@example.com', 'x' FROM generate_series(1, 100)",
    )
    _rows(
        url,
        "INSERT INTO workspaces (id, owner_id, name, task_count)"
        " SELECT id, id, 'Personal', 1 FROM users ON CONFLICT DO NOTHING",
    )
    _rows(
        url,
        "INSERT INTO tasks (workspace_id, user_id, title, version)"
        " SELECT id, id, 'Task', 1 FROM users"
        " WHERE NOT EXISTS (SELECT FROM tasks WHERE workspace_id = users.id)",
    )
    _rows(
        url,
        "INSERT INTO sessions (user_id, family_hash, refresh_hash, expires_at)"
        " SELECT id, 'a', 'b', now() FROM users",
    )


def _counts(url: str) -> list[tuple[Any, ...]]:
    tables = ("users", "workspaces", "tasks", "sessions")
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
    return _rows(url, f"SELECT {counts}")


def _downgrade(url: str, revision: str) -> None:
    with create_app(databases.settings_for(url)).app_context():
        flask_migrate.downgrade(databases.MIGRATIONS, revision)


def test_upgrade_downgrade_and_upgrade_give_the_same_tables(empty: str) -> None:
    databases.migrate(empty)
    first = _schema(empty)
    assert {row[1] for row in first if row[0] == "table"} == set(db.metadata.tables)
    _fill(empty)
    _downgrade(empty, "base")
    assert _schema(empty) == set()
    databases.migrate(empty)
    assert _schema(empty) == first


def test_each_migration_keeps_data(empty: str) -> None:
    for number, revision in enumerate(HISTORY):
        databases.migrate(empty, revision)
        assert number == 0 or _counts(empty)[0][0] == 100 * number
        _fill(empty)
    before = _counts(empty)
    databases.migrate(empty)
    assert _counts(empty) == before


def test_each_migration_but_the_first_can_be_downgraded_with_data(empty: str) -> None:
    databases.migrate(empty)
    _fill(empty)
    before = _counts(empty)
    for revision in reversed(HISTORY[:-1]):
        _downgrade(empty, revision)
        assert _counts(empty) == before
    databases.migrate(empty)
    assert _counts(empty) == before


def test_the_models_match_the_migrations(empty: str, validated: str) -> None:
    with create_app(databases.settings_for(empty)).app_context():
        db.create_all()
    assert _schema(empty) == _schema(validated)


def _is_of_a_sequence(difference: Any) -> bool:
    """Alembic does not compare sequences of columns.

    `test_the_models_match_the_migrations` compares these.
    """
    change = difference[0] if isinstance(difference, list) else difference
    return change[0] == "modify_default" and "workspace_ids" in str(change[-1].arg)


def _is_of_words(difference: Any) -> bool:
    """Alembic compares the text of index expressions, which PostgreSQL rewrites.

    `test_the_models_match_the_migrations` compares these too.
    """
    return getattr(difference[1], "name", None) in ("ix_task_words", "ix_tasks_due")


def test_a_new_migration_would_be_empty(validated: str) -> None:
    with (
        create_app(databases.settings_for(validated)).app_context(),
        db.engine.connect() as connection,
    ):
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, db.metadata)
        assert [d for d in differences if not _is_of_a_sequence(d) and not _is_of_words(d)] == []


def test_there_is_one_head_which_is_in_its_file() -> None:
    assert SCRIPTS.get_heads() == [migration_head()]


def test_revisions_are_ordered_numbers() -> None:
    assert [f"{number:04}" for number in range(1, len(HISTORY) + 1)] == HISTORY


def _run(url: str, *command: str) -> str:
    """The output of a command that must succeed."""
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "JWT_SECRET_KEY": databases.KEY}
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=Path(databases.MIGRATIONS).parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.processes
def test_the_command_upgrades_and_reports_the_revision(empty: str) -> None:
    assert _run(empty, "-m", "flask", "db", "current") == ""
    _run(empty, "-m", "flask", "db", "upgrade")
    assert _run(empty, "-m", "flask", "db", "current").startswith(f"{migration_head()} (head)")


@pytest.mark.processes
def test_a_serving_worker_does_not_load_alembic(database_url: str) -> None:
    loaded = "import sys, wsgi; print('alembic' in sys.modules, 'flask_migrate' in sys.modules)"
    assert _run(database_url, "-c", loaded).split() == ["False", "False"]


def test_two_concurrent_migrations_both_succeed(empty: str) -> None:
    env = (Path(databases.MIGRATIONS) / "env.py").read_text()
    key = re.search(r"MIGRATION_LOCK = ([0-9_]+)", env)
    assert key
    settings = databases.settings_for(empty)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn) as processes:
        with world.holding(settings, "SELECT pg_advisory_xact_lock(%s)", int(key[1])):
            migrations = [processes.submit(databases.migrate, empty) for _ in range(2)]
            _until_two_wait_for_the_lock(empty)
            assert _schema(empty) == set()
        for migration in migrations:
            migration.result()
    assert _rows(empty, "SELECT version_num FROM alembic_version") == [(migration_head(),)]


def _until_two_wait_for_the_lock(url: str) -> None:
    """No migration waits inside a statement, for which a concurrent index would wait."""
    asking = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'taskapi-migrations' AND wait_event_type = 'Client'"
        " AND backend_start < clock_timestamp() - interval '0.5 s'"
    )
    deadline = time.monotonic() + 20
    while _rows(url, asking) != [(2,)]:
        assert time.monotonic() < deadline, "they do not ask"


def test_the_migrations_can_be_written_as_sql(
    app: Flask, empty: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with app.app_context():
        flask_migrate.upgrade(databases.MIGRATIONS, sql=True)
    # A concurrent index must be a separate statement.
    psql = [binaries() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", empty]
    subprocess.run(psql, input=capsys.readouterr().out, text=True, check=True, timeout=60)
    assert _schema(empty) == _schema(database_url)


USER = "INSERT INTO users (email, hashed_password"
WORKSPACE = "INSERT INTO workspaces (owner_id, name"
TASK = "INSERT INTO tasks (user_id, workspace_id, version, title"
SESSION = "INSERT INTO sessions (user_id, expires_at, family_hash, refresh_hash"
TOKEN = "INSERT INTO sessions (user_id, expires_at, token_hash, name, scopes"
BROKEN = [
    (f"{USER}) VALUES ('A@example.com', 'x')", errors.CheckViolation),
    (f"{USER}) VALUES ('example.com', 'x')", errors.CheckViolation),
    (f"{USER}) VALUES (repeat('a', 250) || '@b.com', 'x')", errors.StringDataRightTruncation),
    (f"{USER}) VALUES ('taken@example.com', 'x')", errors.UniqueViolation),
    (f"{USER}) VALUES ('a@example.com', NULL)", errors.NotNullViolation),
    (f"{USER}, is_active) VALUES ('a@example.com', 'x', NULL)", errors.NotNullViolation),
    (f"{WORKSPACE}) VALUES (2, 'a')", errors.ForeignKeyViolation),
    (f"{WORKSPACE}) VALUES (NULL, 'a')", errors.NotNullViolation),
    (f"{WORKSPACE}) VALUES (1, '')", errors.CheckViolation),
    (f"{TASK}) VALUES (1, 1, 1, NULL)", errors.NotNullViolation),
    (f"{TASK}) VALUES (1, 1, 1, repeat('a', 256))", errors.StringDataRightTruncation),
    (f"{TASK}) VALUES (1, 1, NULL, 'a')", errors.NotNullViolation),
    (f"{TASK}) VALUES (1, NULL, 1, 'a')", errors.NotNullViolation),
    (f"{TASK}) VALUES (1, 2, 1, 'a')", errors.ForeignKeyViolation),
    (f"{TASK}, id) VALUES (1, 1, 1, 'a', 1), (1, 1, 1, 'b', 1)", errors.UniqueViolation),
    (f"{TASK}, is_completed) VALUES (1, 1, 1, 'a', NULL)", errors.NotNullViolation),
    (f"{SESSION}) VALUES (2, now(), 'a', 'b')", errors.ForeignKeyViolation),
    (f"{SESSION}) VALUES (1, NULL, 'a', 'b')", errors.NotNullViolation),
    (f"{SESSION}) VALUES (1, now(), NULL, 'b')", errors.CheckViolation),
    (f"{SESSION}) VALUES (1, now(), 'a', NULL)", errors.CheckViolation),
    (f"{SESSION}, last_used_at) VALUES (1, now(), 'a', 'b', NULL)", errors.CheckViolation),
    (f"{SESSION}, token_hash) VALUES (1, now(), 'a', 'b', 'c')", errors.CheckViolation),
    (f"{SESSION}, scopes) VALUES (1, now(), 'a', 'b', '{{tasks:read}}')", errors.CheckViolation),
    (f"{SESSION}, kind) VALUES (1, now(), 'a', 'b', 'token')", errors.CheckViolation),
    (f"{TOKEN}, kind) VALUES (1, now(), 'a', 'b', '{{}}', 'token')", errors.CheckViolation),
    (f"{TOKEN}, kind) VALUES (1, now(), NULL, 'b', '{{a}}', 'token')", errors.CheckViolation),
    (f"{TOKEN}, kind) VALUES (1, now(), 'a', NULL, '{{a}}', 'token')", errors.CheckViolation),
    (f"{TOKEN}, kind) VALUES (1, now(), 'a', 'b', NULL, 'token')", errors.CheckViolation),
    (f"{TOKEN}, kind) VALUES (1, now(), 'a', 'b', '{{a}}', 'other')", errors.CheckViolation),
    (f"{SESSION}, address) VALUES (1, now(), 'a', 'b', 'here')", errors.InvalidTextRepresentation),
    (f"{SESSION}, id) VALUES (1, now(), 'a', 'b', 1)", errors.UniqueViolation),
]


@pytest.fixture(scope="module")
def alone(server_url: str, template: str, worker_id: str) -> Iterator[psycopg.Connection]:
    """A connection to a database with one user, who has one task and one session."""
    url = databases.create(server_url, f"rules_{worker_id}", template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"{USER}) VALUES ('taken@example.com', 'x')")
        connection.execute(f"{WORKSPACE}, id) VALUES (1, 'Personal', 1)")
        connection.execute(f"{TASK}, description) VALUES (1, 1, 1, 'a', repeat('🌱', 10000))")
        connection.execute(f"{SESSION}) VALUES (1, now(), 'a', 'b')")
        yield connection


@pytest.mark.parametrize(("statement", "error"), BROKEN)
def test_the_database_rejects_invalid_rows(
    alone: psycopg.Connection, statement: str, error: type[Exception]
) -> None:
    with pytest.raises(error), alone.transaction():
        alone.execute(statement)


def test_deleting_an_account_deletes_its_rows(empty: str) -> None:
    databases.migrate(empty)
    _fill(empty)
    _rows(empty, "DELETE FROM users WHERE id > (SELECT min(id) FROM users)")
    assert _counts(empty) == [(1, 1, 1, 1)]
