"""Backup and restore: archives of `pg_dump`, each a consistent snapshot whose rows are counted.

A restore does not trust the archive. The tables come from this release's migrations, and the rows
are copied into them by statements of this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import IO, Any, NamedTuple

import psycopg
from psycopg import IsolationLevel, sql
from sqlalchemy import func, select, text

from taskapi.cli import NO_SCHEMA
from taskapi.extensions import table_of
from taskapi.server.operate import schema
from taskapi.server.operate.archive_data import SequenceValue, TableData, parse
from taskapi.server.operate.files import new_file, opened
from taskapi.server.operate.programs import ArchiveError, Programs
from taskapi.tasks.models import RULES, Task

__all__ = ["ArchiveError", "Counts", "Say", "back_up", "bring_back"]

Counts = dict[str, int]
Say = Callable[[str], None]

_TRANSIENT = (
    "rate_limits",
    "procrastinate_workers",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_events",
)
"""Not part of a backup. The jobs of its time, such as sending mail, must not run once more."""

_REVISION = "alembic_version"

_DUMPED = re.compile(r'dumping contents of table "public\.(\w+)"')

_TABLES = b"SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_COLUMNS = b"""
SELECT c.relname, array_agg(a.attname::text)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.relname
"""
_SEQUENCES = b"SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
_REFERENCES = b"""
SELECT DISTINCT a.relname, b.relname
FROM pg_constraint r JOIN pg_class a ON a.oid = r.conrelid JOIN pg_class b ON b.oid = r.confrelid
WHERE r.contype = 'f' AND r.connamespace = 'public'::regnamespace AND a.oid <> b.oid
"""
_UNLIMITED = b"""
SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0
"""
"""The timeouts of the service's role are for requests."""

_HAS_ASSIGNEES = b"SELECT FROM pg_trigger WHERE tgname = 'check_assignee'"
_UNCHECKED = b"ALTER TABLE tasks DISABLE TRIGGER check_assignee"
_CHECKED = b"""
UPDATE tasks SET assignee_id = NULL
WHERE assignee_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM memberships
    WHERE workspace_id = tasks.workspace_id AND user_id = tasks.assignee_id
) AND NOT EXISTS (
    SELECT FROM workspaces WHERE id = tasks.workspace_id AND owner_id = id AND id = assignee_id
);
ALTER TABLE tasks ENABLE TRIGGER check_assignee
"""
"""A backup can contain tasks that are assigned to a member who has just left."""


class _Contents(NamedTuple):
    """What a first reading of an archive finds."""

    counts: Counts
    revision: str
    sequences: list[SequenceValue]


def back_up(url: str, file: Path, say: Say) -> Counts:
    """Write a consistent snapshot of all data to a new file that only its owner can read.

    The file appears under its name only when it is complete and its rows have been counted.

    Args:
        url: of the database itself, not of a pooler.
        say: receives a line for each table.

    Returns:
        The number of rows of each table.

    Raises:
        ArchiveError: the backup failed; there is no file.
    """
    with _connected(url) as connection, new_file(file) as archive:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.execute(_UNLIMITED)
        programs = Programs(connection.info.server_version // 10_000)
        counts = _counts(connection)
        if not counts.get(_REVISION):
            raise ArchiveError(f"There is nothing to back up. {NO_SCHEMA}")

        def report(line: str) -> None:
            table = _DUMPED.search(line)
            if table and table[1] in counts:
                say(f"{table[1]}: {counts[table[1]]:,} rows")

        snapshot = _value(connection, sql.SQL("SELECT pg_export_snapshot()"))
        excluded = (f"--exclude-table-data={table}" for table in _TRANSIENT)
        options = ("--no-owner", "--no-privileges", *excluded)
        programs.dump(url, archive, *options, f"--snapshot={snapshot}", log=report)
        found = _read(programs, archive).counts
        if found != counts:
            raise ArchiveError(f"The archive is incomplete: {found} of {counts} rows.")
    return counts


def bring_back(url: str, file: Path, say: Say) -> Counts:
    """Fill an empty database from an archive, completely or not at all.

    Args:
        url: of the database itself, not of a pooler.
        say: receives a line for each table.

    Returns:
        The number of rows of each table.

    Raises:
        ArchiveError: the restore failed; the database is empty.
    """
    with _connected(url) as connection, opened(file) as archive:
        connection.autocommit = True
        if connection.execute(_TABLES).fetchone():
            raise ArchiveError(
                "The database is not empty. Set DATABASE_URL to a new one, without any tables."
            )
        programs = Programs(connection.info.server_version // 10_000)
        contents = _read(programs, archive)
        with schema.created(url, contents.revision), connection.transaction():
            connection.execute(_UNLIMITED)
            try:
                _fill(connection, programs, archive, contents, say)
            except psycopg.Error as error:
                reason = error.diag.message_primary or str(error)
                raise ArchiveError(f"The data does not fit the tables: {reason}") from error
            found = _counts(connection)
            if found != contents.counts:
                raise ArchiveError(f"Not everything was restored: {found} of {contents.counts}.")
            _check_tasks(connection)
            connection.execute(b"ANALYZE")
    return found


def _read(programs: Programs, archive: IO[bytes]) -> _Contents:
    """Read an archive to its end, and count its rows."""
    counts: Counts = {}
    revision = b""
    sequences = []
    with programs.data(archive) as lines:
        for entry in parse(iter(lines)):
            if isinstance(entry, SequenceValue):
                sequences.append(entry)
            elif entry.table == _REVISION:
                rows = list(entry.rows)
                counts[_REVISION] = len(rows)
                revision = b"".join(rows).strip()
            else:
                counts[entry.table] = sum(1 for _ in entry.rows)
    kept = {table: number for table, number in sorted(counts.items()) if table not in _TRANSIENT}
    return _Contents(kept, revision.decode(errors="replace"), sequences)


def _fill(
    connection: psycopg.Connection,
    programs: Programs,
    archive: IO[bytes],
    contents: _Contents,
    say: Say,
) -> None:
    """Copy the rows into the tables that the migrations have created, and set the sequences."""
    columns = {table: set(names) for table, names in connection.execute(_COLUMNS)}
    unknown = contents.counts.keys() - columns.keys()
    if unknown:
        raise ArchiveError(f"The archive has unknown tables: {', '.join(sorted(unknown))}.")
    with _former_assignees_removed(connection):
        for table in _in_order(connection, contents.counts.keys() - {_REVISION}):
            say(f"{table}: {contents.counts[table]:,} rows")
            with programs.data(archive, table) as lines:
                for entry in parse(iter(lines)):
                    if isinstance(entry, TableData) and entry.table == table:
                        _copy(connection, entry, columns[table])
    known = {name for (name,) in connection.execute(_SEQUENCES)}
    for sequence, value, is_called in contents.sequences:
        if sequence not in known:
            raise ArchiveError(f"The archive has an unknown sequence: {sequence}.")
        name = sql.Identifier("public", sequence).as_string(connection)
        connection.execute("SELECT setval(%s::regclass, %s, %s)", [name, value, is_called])


@contextmanager
def _former_assignees_removed(connection: psycopg.Connection) -> Iterator[None]:
    """Copy tasks without checking their assignees, then remove assignees who are no members."""
    has_assignees = connection.execute(_HAS_ASSIGNEES).fetchone() is not None
    if has_assignees:
        connection.execute(_UNCHECKED)
    yield
    if has_assignees:
        connection.execute(_CHECKED)


def _check_tasks(connection: psycopg.Connection) -> None:
    """Check the rules that the table of tasks does not enforce itself."""
    for name, rule in RULES.items():
        violations = select(func.count()).select_from(table_of(Task)).where(text(f"NOT ({rule})"))
        (number,) = connection.execute(str(violations).encode()).fetchone() or (0,)
        if number:
            raise ArchiveError(f"Tasks violate the rule {name} ({number:,}): {rule}.")


def _copy(connection: psycopg.Connection, data: TableData, known: set[str]) -> None:
    unknown = set(data.columns) - known
    if unknown:
        raise ArchiveError(
            f"The archive has unknown columns of {data.table}: {', '.join(sorted(unknown))}."
        )
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier("public", data.table), sql.SQL(", ").join(map(sql.Identifier, data.columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in data.rows:
            copy.write(row)


def _in_order(connection: psycopg.Connection, tables: set[str]) -> Iterator[str]:
    """The tables, each after those that it references."""
    references: dict[str, set[str]] = {table: set() for table in tables}
    for table, referenced in connection.execute(_REFERENCES):
        if table in references and referenced in references:
            references[table].add(referenced)
    if {"tasks", "labels"} <= tables:
        references["tasks"].add("labels")  # checked by a trigger, so there is no foreign key
    yield from TopologicalSorter(references).static_order()


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url, application_name="taskapi-archive") as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise ArchiveError(f"The database does not answer: {error}") from error


def _value(connection: psycopg.Connection, query: sql.SQL | sql.Composed) -> Any:
    row = connection.execute(query).fetchone()
    assert row
    return row[0]


def _counts(connection: psycopg.Connection) -> Counts:
    counted = sql.SQL("SELECT count(*) FROM {}")
    return {
        table: _value(connection, counted.format(sql.Identifier("public", table)))
        for (table,) in connection.execute(_TABLES)
        if table not in _TRANSIENT
    }
