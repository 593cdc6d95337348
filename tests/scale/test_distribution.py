"""The script that distributes the tables: its result, and the schemas that it rejects."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from scale import sharded
from scale.sharded import COLUMN_OF, DISTRIBUTED, REFERENCE
from support import databases

from taskapi.extensions import db

LOCAL = {
    "rate_limits",
    "procrastinate_workers",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_events",
}


@pytest.fixture
def plain(server_url: str, template: str, worker_id: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a migrated database for this test."""
    name = f"plain_{worker_id}_{time.monotonic_ns()}"
    url = databases.create(server_url, name, template)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_the_script_colocates_the_tables_of_a_workspace(
    plain: psycopg.Connection[Any],
) -> None:
    found = sharded.distribute(plain)
    assert set(found) == DISTRIBUTED
    names = [one.table for one in found]
    assert len(names) == len(set(names))
    for name in names:
        keys = db.metadata.tables[name].foreign_keys
        referenced = {key.column.table.name for key in keys} - REFERENCE
        assert referenced <= {*names[: names.index(name)], name}


def test_nothing_is_distributed_if_a_key_lacks_the_column(
    plain: psycopg.Connection[Any],
) -> None:
    plain.execute("ALTER TABLE tasks ADD CONSTRAINT own UNIQUE (id)")
    message = "Nothing was distributed: tasks.own lacks the column"
    with pytest.raises(psycopg.errors.RaiseException, match=message):
        sharded.distribute(plain)
    assert plain.execute("SELECT FROM distributed").rowcount == 0


@pytest.mark.parametrize("referenced", ["workspaces", "users"])
def test_nothing_is_distributed_if_a_local_table_references_the_cluster(
    plain: psycopg.Connection[Any], referenced: str
) -> None:
    """Citus would delete the rows of such a table with the old rows of the others."""
    plain.execute(f"CREATE TABLE own (id bigint REFERENCES {referenced})".encode())
    message = "Nothing was distributed: own.own_id_fkey references"
    with pytest.raises(psycopg.errors.RaiseException, match=message):
        sharded.distribute(plain)
    assert plain.execute("SELECT FROM distributed").rowcount == 0


def test_the_old_rows_of_each_table_are_deleted(plain: psycopg.Connection[Any]) -> None:
    found = sharded.distribute(plain)
    rows = plain.execute("SELECT name FROM truncated ORDER BY number").fetchall()
    names = [name for (name,) in rows]
    assert sorted(names) == sorted([*(one.table for one in found), *REFERENCE])
    assert names.index("workspaces") > max(names.index(n) for n in COLUMN_OF if n != "workspaces")
    assert names.index("users") == len(names) - 1


def test_users_are_committed_first(plain: psycopg.Connection[Any]) -> None:
    """Defaults of other tables use the same sequence."""
    sharded.distribute(plain)
    rows = plain.execute(
        "SELECT name, transaction FROM distributed WHERE transaction ="
        " (SELECT transaction FROM distributed ORDER BY number LIMIT 1)"
    ).fetchall()
    assert [name for name, _ in rows] == ["users"]


def test_each_table_is_distributed_or_declared_local(plain: psycopg.Connection[Any]) -> None:
    tables = plain.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {name for (name,) in tables} == LOCAL | REFERENCE | set(COLUMN_OF)


def test_distribution_columns_have_one_type(plain: psycopg.Connection[Any]) -> None:
    types = plain.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public'"
    ).fetchall()
    found = {table: kind for table, column, kind in types if COLUMN_OF.get(table) == column}
    assert found == dict.fromkeys(COLUMN_OF, "bigint")


def test_each_key_contains_the_distribution_column(plain: psycopg.Connection[Any]) -> None:
    """Unique indexes and exclusion constraints count too."""
    sharded.distribute(plain)
    unique = plain.execute(
        "SELECT indrelid::regclass::text, indexrelid::regclass::text, array_agg(attname::text)"
        " FROM pg_index LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)"
        " WHERE (indisunique OR indisexclusion) AND indrelid = ANY(%s::regclass[]) GROUP BY 1, 2",
        [list(COLUMN_OF)],
    ).fetchall()
    assert len(unique) >= len(COLUMN_OF)
    assert [name for table, name, columns in unique if COLUMN_OF[table] not in columns] == []


def test_each_foreign_key_stays_in_one_shard(plain: psycopg.Connection[Any]) -> None:
    """It references the distribution column by the distribution column."""
    keys = plain.execute(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, one.attname, other.attname"
        " FROM pg_constraint, unnest(conkey, confkey) AS pair (here, there)"
        " JOIN pg_attribute one ON true JOIN pg_attribute other ON true"
        " WHERE contype = 'f' AND one.attrelid = conrelid AND one.attnum = here"
        " AND other.attrelid = confrelid AND other.attnum = there"
    ).fetchall()
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {key[:2]: [] for key in keys}
    for table, there, *columns in keys:
        pairs[table, there].append(tuple(columns))
    assert {table for table, _ in pairs} - LOCAL == {
        "sessions",
        "email_changes",
        "email_tokens",
        "identities",
        "second_factors",
        "memberships",
        "invitations",
        *COLUMN_OF,
    }
    for (table, there), columns in pairs.items():
        if there in REFERENCE | LOCAL:
            continue
        assert (COLUMN_OF[table], COLUMN_OF[there]) in columns
