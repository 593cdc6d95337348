"""The script that distributes the tables by account: what it does, and when it refuses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from scale import sharded
from scale.sharded import COLUMN_OF, DISTRIBUTED, OF_ACCOUNTS
from support import databases

from taskapi.server.health.service import check_schema, migration_head

LOCAL = {"rate_limits", "alembic_version"}

FIRST_WITHOUT_TRIGGERS = "0007"

ACCOUNT_7 = "INSERT INTO users (id, email, hashed_password) VALUES (7, 'a@b', '')"


@pytest.fixture
def plain(server_url: str, template: str, worker_id: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a migrated database of this test's own."""
    name = f"plain_{worker_id}_{time.monotonic_ns()}"
    url = databases.create(server_url, name, template)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_the_script_distributes_each_accounts_tables_together(
    plain: psycopg.Connection[Any],
) -> None:
    assert sharded.distribute(plain) == DISTRIBUTED


@pytest.mark.parametrize(
    ("obstacle", "said"),
    [
        ("ALTER TABLE tasks ADD CONSTRAINT own UNIQUE (id)", "tasks.own lacks the column"),
        ("ALTER TABLE emails ADD CONSTRAINT own UNIQUE (user_id)", "emails.own lacks the column"),
        (f"{ACCOUNT_7}; UPDATE emails SET user_id = 8", "emails lacks that of account 7"),
    ],
)
def test_nothing_is_distributed_while_something_stands_in_the_way(
    plain: psycopg.Connection[Any], obstacle: str, said: str
) -> None:
    plain.execute(obstacle)
    with pytest.raises(psycopg.errors.RaiseException, match=f"Nothing was distributed: {said}"):
        sharded.distribute(plain)
    plain.execute("ROLLBACK")
    kept = plain.execute("SELECT FROM pg_constraint WHERE conname = 'uq_users_email'")
    assert kept.rowcount == 1


def test_once_distributed_older_code_says_that_it_no_longer_works(
    plain: psycopg.Connection[Any],
) -> None:
    sharded.distribute(plain)
    ((oldest,),) = plain.execute("SELECT obj_description('alembic_version'::regclass, 'pg_class')")
    check_schema(migration_head(), oldest)
    assert oldest == FIRST_WITHOUT_TRIGGERS


def test_each_table_is_distributed_or_said_to_be_local(plain: psycopg.Connection[Any]) -> None:
    tables = plain.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {name for (name,) in tables} == LOCAL | set(COLUMN_OF)


def test_columns_of_distribution_have_one_type(plain: psycopg.Connection[Any]) -> None:
    types = plain.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public'"
    ).fetchall()
    found = {table: kind for table, column, kind in types if COLUMN_OF.get(table) == column}
    assert found.pop("emails") == "character varying"
    assert found == dict.fromkeys(OF_ACCOUNTS, "bigint")


def test_each_key_contains_the_column_of_distribution(plain: psycopg.Connection[Any]) -> None:
    """What is unique without being a constraint, and what excludes, counts as well."""
    sharded.distribute(plain)
    unique = plain.execute(
        "SELECT indrelid::regclass::text, indexrelid::regclass::text, array_agg(attname::text)"
        " FROM pg_index LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)"
        " WHERE (indisunique OR indisexclusion) AND indrelid = ANY(%s::regclass[]) GROUP BY 1, 2",
        [list(COLUMN_OF)],
    ).fetchall()
    assert len(unique) >= len(COLUMN_OF)
    assert [name for table, name, columns in unique if COLUMN_OF[table] not in columns] == []


def test_each_foreign_key_leads_to_the_same_shard(plain: psycopg.Connection[Any]) -> None:
    """It pairs the columns by which the two tables are distributed."""
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
    assert {table for table, _ in pairs} == OF_ACCOUNTS - {"users"}
    for (table, there), columns in pairs.items():
        assert (COLUMN_OF[table], COLUMN_OF[there]) in columns
