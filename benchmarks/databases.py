"""The databases of the benchmark: an embedded server, migrated and filled by SQL."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import flask_migrate
import psycopg
from psycopg import sql

from config import Settings
from taskapi import create_app, embedded

ROOT = Path(__file__).parents[1]
KEY = "a key for measuring, which is long enough for HS256"
TASKS_EACH = 20
HEAVY_TASKS = 100_000
SMALL_ROWS = 10_000

_MIGRATIONS = ROOT / "migrations"
_BYTES_A_ROW = 1_000  # with its indexes and its part of the write-ahead log
_SPARE_BYTES = 2 * 2**30

_SERVER = {
    # As in production. Durability settings keep their defaults, which are on.
    "shared_buffers": "1GB",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    # It would run during the turn of one of the peers.
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Filling:
    """The contents of a database: accounts with 20 tasks, and optionally one with very many."""

    rows: int
    heavy: int = 0

    @property
    def accounts(self) -> int:
        """The number of accounts with 20 tasks. The heavy one follows them."""
        return (self.rows - self.heavy) // TASKS_EACH

    @property
    def name(self) -> str:
        """The name of the database, which depends on the rows and the schema."""
        schema = b"".join(p.read_bytes() for p in sorted(_MIGRATIONS.glob("versions/*.py")))
        filled = Path(__file__).read_bytes()
        return f"filled_{self.rows}_{self.heavy}_{hashlib.sha256(schema + filled).hexdigest()[:8]}"


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL."""

    url: str
    folder: Path

    @property
    def pid(self) -> int:
        """The process ID of its main process."""
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    @property
    def socket(self) -> Path:
        """The path of its socket."""
        query = parse_qs(urlsplit(self.url).query)
        return Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}"

    def url_of(self, database: str, socket_folder: Path | None = None) -> str:
        """The URL of a database, optionally with a socket in another directory."""
        url = urlsplit(self.url)._replace(path=f"/{database}")
        if socket_folder:
            host = quote(str(socket_folder), safe="/")
            url = url._replace(query=f"host={host}&port={self.socket.suffix[1:]}")
        return urlunsplit(url)

    def execute(self, statement: Any, database: str = "postgres", **values: Any) -> list[Any]:
        """The rows of a statement."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def create(self, name: str, template: str = "template0") -> None:
        """Create a database from a template, and replace one of the same name."""
        new, old = sql.Identifier(name), sql.Identifier(template)
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(new))
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(new, old))
        self.execute("CHECKPOINT")

    def need(self, filling: Filling, password_hash: str) -> str:
        """The name of a database with this content, created if missing."""
        found = self.execute(
            "SELECT 1 FROM pg_database WHERE datname = %(name)s", name=filling.name
        )
        if not found:
            unfinished = "unfinished"
            self.create(unfinished)
            _migrate(self.url_of(unfinished))
            _fill(self.url_of(unfinished), filling, password_hash)
            names = sql.Identifier(unfinished), sql.Identifier(filling.name)
            self.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))
        return filling.name


@contextmanager
def running(folder: Path, rows: int) -> Iterator[Cluster]:
    """A server with its data in this directory, durable as in production.

    Raises:
        SystemExit: the disk is too small for so many rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    needed = rows * _BYTES_A_ROW + _SPARE_BYTES
    if not (folder / "postgres").exists() and shutil.disk_usage(folder).free < needed:
        room = f"{needed / 2**30:.0f} GiB"
        sys.exit(f"{folder} has less than {room} free. Take fewer --rows, or another --data.")
    settings = Settings(taskapi_data_dir=folder, jwt_secret_key=KEY)
    with embedded.provide(settings) as provided:
        assert provided.database_url
        with psycopg.connect(provided.database_url, autocommit=True) as connection:
            for name, value in _SERVER.items():
                setting = sql.SQL("ALTER SYSTEM SET {} = {}")
                connection.execute(setting.format(sql.Identifier(name), sql.Literal(value)))
    # The block has stopped it. Some of these settings need a restart.
    with embedded.provide(settings) as provided:
        assert provided.database_url
        yield Cluster(provided.database_url, folder)


def settings_for(url: str) -> Settings:
    """The settings of the application in this process, which prepares the data."""
    return Settings(
        database_url=url,
        database_prepare=True,
        jwt_secret_key=KEY,
        ratelimit_enabled=False,
        log_format="json",
        log_level="warning",
    )


def _migrate(url: str) -> None:
    with create_app(settings_for(url)).app_context():
        flask_migrate.upgrade(str(_MIGRATIONS))


def _fill(url: str, filling: Filling, password_hash: str) -> None:
    """The rows of all accounts are interleaved, in the order of their IDs."""
    values = {
        "rows": filling.rows,
        "accounts": filling.accounts,
        "heavy": filling.accounts + 1 if filling.heavy else 0,
        # One of this number of rows belongs to the heavy account.
        "step": filling.rows // filling.heavy if filling.heavy else filling.rows + 1,
        "hash": password_hash,
        # The accounts that need sessions.
        "callers_from": filling.accounts + 1 if filling.heavy else 1,
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        # For speed: foreign keys and indexes are created at the end.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SET work_mem = '256MB'")
        with _without_indexes(connection, "tasks"):
            for statement in (_USERS, _TASKS):
                connection.execute(statement, values)
        for statement in (_WORKSPACES, _INBOXES, _WORDS, _TOTALS, _SESSIONS):
            connection.execute(statement, values)
        if not filling.heavy:
            for statement in (_SHARED, _MEMBERS, _SHARED_INBOXES, _SHARED_TASKS, _WORDS, _TOTALS):
                connection.execute(statement, values)
        connection.execute("SELECT setval('workspace_ids', (SELECT max(id) FROM workspaces))")
        for table in ("tasks", "sessions"):
            connection.execute(
                _SEQUENCE.format(table=sql.Literal(table), rows=sql.Identifier(table))
            )
        connection.execute("VACUUM (FREEZE, ANALYZE)")
        connection.execute("CHECKPOINT")


@contextmanager
def _without_indexes(connection: psycopg.Connection[Any], table: str) -> Iterator[None]:
    # Foreign keys to it are dropped first and created last.
    keys = connection.execute(
        "SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid)"
        " FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
        " WHERE (conrelid = %(table)s::regclass AND contype IN ('p', 'u'))"
        " OR confrelid = %(table)s::regclass ORDER BY contype",
        {"table": table},
    ).fetchall()
    for owner, name, _ in keys:
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        connection.execute(drop.format(sql.Identifier(owner), sql.Identifier(name)))
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s",
        [table],
    ).fetchall()
    for name, _ in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    for owner, name, definition in reversed(keys):
        names = sql.Identifier(owner), sql.Identifier(name)
        add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
        connection.execute(add.format(*names, sql.SQL(definition)))
    for _, definition in indexes:
        connection.execute(definition)


_USERS = """
INSERT INTO users (id, email, hashed_password)
SELECT n, 'user' || n || '@example.com', %(hash)s
FROM generate_series(1, greatest(%(accounts)s, %(heavy)s)) n
"""

_WORKSPACES = """
INSERT INTO workspaces (id, owner_id, name) SELECT id, id, 'Personal' FROM users
"""
_INBOXES = """
INSERT INTO lists (workspace_id, id, user_id, name, name_key, version)
SELECT id, id, id, 'Inbox', 'inbox', 0 FROM users
"""
_WORDS = """
INSERT INTO task_words (workspace_id, task_id, title_words, description_words)
SELECT workspace_id, id,
    array_to_tsvector(ARRAY(
        SELECT DISTINCT workspace_id || ':' || word
        FROM regexp_split_to_table(lower(title), ' ') word
    )),
    array_to_tsvector(ARRAY(
        SELECT DISTINCT workspace_id || ':' || word
        FROM regexp_split_to_table(lower(description), '[^a-z]+') word WHERE word <> ''
    ))
FROM tasks WHERE NOT EXISTS (
    SELECT FROM task_words
    WHERE task_words.workspace_id = tasks.workspace_id AND task_words.task_id = tasks.id
)
"""

_TASKS = """
INSERT INTO tasks (id, workspace_id, user_id, version, title, description, is_completed,
    completed_at, created_at, updated_at)
SELECT n, user_id, user_id, version, 'Task ' || version || ' of account ' || user_id,
    'Something to do, in about as many words as a person writes: ' || repeat('x', 40),
    version %% 3 = 0, CASE WHEN version %% 3 = 0 THEN made END, made, made
FROM generate_series(1, %(rows)s) n,
    LATERAL (SELECT n - n / %(step)s - 1 AS other) place,
    LATERAL (
        SELECT
            CASE WHEN n %% %(step)s = 0 THEN %(heavy)s ELSE 1 + other %% %(accounts)s END
                AS user_id,
            CASE WHEN n %% %(step)s = 0 THEN n / %(step)s ELSE 1 + other / %(accounts)s END
                AS version,
            now() - interval '90 days' + n * interval '1 millisecond' AS made
    ) task
"""

# Each account owns a shared workspace, whose members are also the next two accounts.
_SHARED = """
INSERT INTO workspaces (id, owner_id, name) SELECT id + %(accounts)s, id, 'Shared' FROM users
"""
_MEMBERS = """
INSERT INTO memberships (workspace_id, user_id, role)
SELECT id + %(accounts)s, 1 + (id - 1 + number) %% %(accounts)s,
    CASE number WHEN 0 THEN 'owner' ELSE 'editor' END
FROM users, generate_series(0, 2) number
"""
_SHARED_INBOXES = """
INSERT INTO lists (workspace_id, id, user_id, name, name_key, version)
SELECT id, id, owner_id, 'Inbox', 'inbox', 0 FROM workspaces WHERE id > %(accounts)s
"""
_SHARED_TASKS = """
INSERT INTO tasks (id, workspace_id, user_id, version, title, description, is_completed,
    completed_at, created_at, updated_at)
SELECT id + %(rows)s, workspace_id + %(accounts)s, user_id, version, title, description,
    is_completed, completed_at, created_at, updated_at
FROM tasks ORDER BY id
"""

_TOTALS = """
UPDATE workspaces SET version = last, task_count = number, completed_task_count = completed
FROM (
    SELECT workspace_id, max(version) AS last, count(*) AS number,
        count(*) FILTER (WHERE is_completed) AS completed
    FROM tasks GROUP BY workspace_id
) counted
WHERE workspaces.id = counted.workspace_id
"""

_SESSIONS = """
INSERT INTO sessions (user_id, family_hash, refresh_hash, expires_at)
SELECT id, sha256(id::text::bytea), sha256(('of ' || id)::bytea), now() + interval '1 year'
FROM users WHERE id >= %(callers_from)s ORDER BY id
"""

_SEQUENCE = sql.SQL(
    "SELECT setval(pg_get_serial_sequence({table}, 'id'), (SELECT max(id) FROM {rows}))"
)
