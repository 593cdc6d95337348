"""A database whose tables are partitioned like shards.

Citus is not installed, so partitions of PostgreSQL stand for its shards. Both locate a row
by a hash of one column, require that each key contains that column, and prune to one part
for a statement with its value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import sql
from support.servers import ROOT

from taskapi.extensions import db
from taskapi.runtime.connection import Connection

SCRIPT = ROOT / "deploy" / "citus" / "distribute.sql"
SHARDS = 4

_RECORDER = """
CREATE TABLE distributed (
    number serial, name text, by text, colocate_with text,
    transaction xid8 DEFAULT pg_current_xact_id()
);
CREATE TABLE truncated (number serial, name text);
CREATE FUNCTION create_distributed_table(
    table_name regclass, distribution_column text, distribution_type text DEFAULT 'hash',
    colocate_with text DEFAULT 'default'
) RETURNS void LANGUAGE sql BEGIN ATOMIC
    INSERT INTO distributed (name, by, colocate_with)
    VALUES (table_name::text, distribution_column, colocate_with);
END;
CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE sql BEGIN ATOMIC
    INSERT INTO distributed (name, by, colocate_with) VALUES (table_name::text, '', '');
END;
CREATE FUNCTION truncate_local_data_after_distributing_table(table_name regclass)
RETURNS void LANGUAGE sql BEGIN ATOMIC
    INSERT INTO truncated (name) VALUES (table_name::text);
END;
"""
_KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('p', 'f', 'u')
ORDER BY contype = 'f'
"""
_INDEXES = """
SELECT pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = ANY(%s::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""

_TRIGGERS = """
SELECT pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid = ANY(%s::regclass[]) AND NOT tgisinternal
"""

_NUMBERED = """
SELECT attrelid::regclass::text, attname FROM pg_attribute
WHERE attrelid = ANY(%s::regclass[]) AND attidentity <> ''
"""

Row = tuple[Any, ...]


class Distribution(NamedTuple):
    """The distribution of one table in the script."""

    table: str
    column: str
    colocate_with: str


REFERENCE = {
    *("users", "sessions", "email_changes", "email_tokens", "identities", "sign_in_codes"),
    *("second_factors", "memberships", "invitations"),
    "alembic_version",
}
"""Reference tables, of which each node has a copy."""

DISTRIBUTED = {
    Distribution("workspaces", "id", "default"),
    *(
        Distribution(table.name, "workspace_id", "workspaces")
        for table in db.metadata.sorted_tables
        if "workspace_id" in table.columns and table.name not in REFERENCE
    ),
}
"""By the models, what the script ought to ask for."""

COLUMN_OF = {one.table: one.column for one in DISTRIBUTED}


class Sent(NamedTuple):
    """A statement that the service sent."""

    sql: bytes
    values: Sequence[Any]


def distribute(connection: psycopg.Connection[Row]) -> list[Distribution]:
    """Run the script with functions that only record their arguments.

    Raises:
        psycopg.errors.RaiseException: the script rejected the schema.
    """
    connection.execute(_RECORDER)
    connection.execute(SCRIPT.read_text())
    rows = connection.execute("SELECT name, by, colocate_with FROM distributed ORDER BY number")
    found = [Distribution(*row) for row in rows]
    assert {one.table for one in found if not one.column} == REFERENCE
    return [one for one in found if one.column]


def cut(connection: psycopg.Connection[Row], tables: list[Distribution]) -> None:
    """Replace these tables by partitioned ones, with their rows, keys, indexes and triggers.

    Raises:
        psycopg.errors.FeatureNotSupported: a key does not contain the distribution column.
    """
    names = [table.table for table in tables]
    keys = connection.execute(_KEYS, [names]).fetchall()
    indexes = connection.execute(_INDEXES, [names]).fetchall()
    triggers = connection.execute(_TRIGGERS, [names]).fetchall()
    for table in tables:
        _cut(connection, table)
    for name in names:
        _execute(connection, "DROP TABLE {} CASCADE", f"old_{name}")
    for table, name, definition in keys:
        _execute(connection, "ALTER TABLE {} ADD CONSTRAINT {} " + definition, table, name)
    for (definition,) in [*indexes, *triggers]:
        connection.execute(definition)
    for table, column in connection.execute(_NUMBERED, [names]).fetchall():
        go_on = sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {}")
        names_of = sql.Literal(table), sql.Literal(column)
        connection.execute(go_on.format(*names_of, sql.Identifier(column), sql.Identifier(table)))


def _cut(connection: psycopg.Connection[Row], table: Distribution) -> None:
    name, old = table.table, f"old_{table.table}"
    _execute(connection, "ALTER TABLE {} RENAME TO {}", name, old)
    _execute(
        connection,
        "CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES) PARTITION BY HASH ({})",
        *(name, old, table.column),
    )
    for number in range(SHARDS):
        place = f"MODULUS {SHARDS}, REMAINDER {number}"
        part = f"CREATE TABLE {{}} PARTITION OF {{}} FOR VALUES WITH ({place})"
        _execute(connection, part, f"{name}_{number}", name)
    _execute(connection, "INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT * FROM {}", name, old)


def _execute(connection: psycopg.Connection[Row], statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sent]]:
    """All statements that the service sends while the block runs."""
    sent: list[Sent] = []
    run = Connection.run

    def recorded_run(
        self: Connection, text: bytes, values: Sequence[Any], types: tuple[int, ...], **how: bool
    ) -> list[Row]:
        sent.append(Sent(text, values))
        return run(self, text, values, types, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "run", recorded_run)
        yield sent


def parts(connection: psycopg.Connection[Row], sent: Sent) -> set[str]:
    """The partitions that the plan of a statement reads or changes."""
    return set().union(*steps(connection, sent))


def steps(connection: psycopg.Connection[Row], sent: Sent) -> list[set[str]]:
    """The same for each step: each WITH query is one, and so is the main query."""
    given = f"({', '.join(['%s'] * len(sent.values))})" if sent.values else ""
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.execute(b"PREPARE asked AS " + sent.sql)
    try:
        found = psycopg.ClientCursor(connection).execute(
            f"EXPLAIN (FORMAT JSON) EXECUTE asked{given}", list(sent.values)
        )
        (plan,) = found.fetchone() or ((),)
    finally:
        connection.execute("DEALLOCATE asked")
    relations: dict[str, set[str]] = {}
    for step, name in _relations(plan[0]):
        if name[-1].isdigit():
            relations.setdefault(step, set()).add(name)
    return list(relations.values())


def _relations(node: Any, step: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for part in node:
            yield from _relations(part, step)
    elif isinstance(node, dict):
        name = node.get("Subplan Name", "")
        step = name if name.startswith("CTE ") else step
        if "Relation Name" in node:
            yield step, node["Relation Name"]
        for part in node.values():
            yield from _relations(part, step)
