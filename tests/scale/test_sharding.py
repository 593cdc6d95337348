"""One account's data can lie on one shard: each task call asks that one alone.

What stands for a distributed PostgreSQL here, and what was not run, says `sharded`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from scale import sharded
from scale.sharded import Distribution
from support import databases
from support.api import Api
from support.contract import Contract

from taskapi import create_app

OBSTACLES = {"uq_users_email"}
"""Keys that must have moved to another table before anything is distributed."""

LOCAL = {"rate_limits", "alembic_version", "emails"}

DISTRIBUTED = [
    Distribution("users", "id", "default"),
    Distribution("sessions", "user_id", "users"),
    Distribution("tasks", "user_id", "users"),
    Distribution("idempotency_keys", "user_id", "users"),
]
COLUMN_OF = {one.table: one.column for one in DISTRIBUTED}


@pytest.fixture
def plain(server_url: str, template: str, worker_id: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a migrated database of this test's own."""
    name = f"plain_{worker_id}_{time.monotonic_ns()}"
    url = databases.create(server_url, name, template)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_nothing_is_distributed_while_a_key_stands_in_the_way(
    plain: psycopg.Connection[Any],
) -> None:
    with pytest.raises(psycopg.errors.RaiseException) as refused:
        sharded.distribute(plain)
    assert str(refused.value).startswith(
        "Nothing was distributed: users.uq_users_email does not contain the account."
    )


def test_the_script_distributes_each_accounts_tables_together(
    plain: psycopg.Connection[Any],
) -> None:
    plain.execute("ALTER TABLE users DROP CONSTRAINT uq_users_email")
    assert sharded.distribute(plain) == DISTRIBUTED


def test_each_table_is_distributed_or_said_to_be_local(plain: psycopg.Connection[Any]) -> None:
    tables = plain.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {name for (name,) in tables} == LOCAL | set(COLUMN_OF)


def test_columns_of_distribution_have_one_type(plain: psycopg.Connection[Any]) -> None:
    types = plain.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'public'"
    ).fetchall()
    found = {table: kind for table, column, kind in types if COLUMN_OF.get(table) == column}
    assert found == dict.fromkeys(COLUMN_OF, "bigint")


def test_each_key_but_the_emails_contains_the_account(plain: psycopg.Connection[Any]) -> None:
    """What is unique without being a constraint, and what excludes, counts as well."""
    unique = plain.execute(
        "SELECT indrelid::regclass::text, indexrelid::regclass::text, array_agg(attname::text)"
        " FROM pg_index LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)"
        " WHERE (indisunique OR indisexclusion) AND indrelid = ANY(%s::regclass[]) GROUP BY 1, 2",
        [list(COLUMN_OF)],
    ).fetchall()
    assert len(unique) >= len(COLUMN_OF)
    assert {name for table, name, columns in unique if COLUMN_OF[table] not in columns} == OBSTACLES


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
    assert {table for table, _ in pairs} == set(COLUMN_OF) - {"users"}
    for (table, there), columns in pairs.items():
        assert (COLUMN_OF[table], COLUMN_OF[there]) in columns


class Cut:
    """The service on tables that are cut by account, with two people who were there before."""

    def __init__(self, app: Flask, contract: Contract, url: str) -> None:
        client = app.test_client()
        self.me, self.stranger = (Api(client, contract).registered() for _ in range(2))
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("ALTER TABLE users DROP CONSTRAINT uq_users_email")
        sharded.cut(self.connection, DISTRIBUTED)

    def shards(self, sent: list[sharded.Sent]) -> list[set[str]]:
        """Of each statement, the partitions that it reads or changes."""
        return [sharded.parts(self.connection, one) for one in sent]

    def shard_of(self, person: Api) -> str:
        """The end of the names of the partitions that hold a person's rows."""
        found = self.connection.execute(
            "SELECT tableoid::regclass::text FROM users WHERE id = %s", [person.user_id]
        ).fetchone()
        assert found
        return str(found[0]).removeprefix("users")


@pytest.fixture(scope="module")
def cut(server_url: str, template: str, worker_id: str, contract: Contract) -> Iterator[Cut]:
    url = databases.create(server_url, f"cut_{worker_id}", template)
    app = create_app(databases.settings_for(url))
    made = Cut(app, contract, url)
    yield made
    made.connection.close()
    app.extensions["taskapi_pool"].close()


def _lists() -> Iterator[str]:
    orders = (
        f"{sign}{name}" for name in ("created_at", "updated_at", "title") for sign in ("", "-")
    )
    for order, state in itertools.product(
        orders, ("", "&is_completed=true", "&is_completed=false")
    ):
        yield f"/tasks?limit=1&sort={order}{state}"


def _list_from_its_cursor(me: Api, path: str) -> None:
    for is_completed in (True, False) * 2:
        task = me.task(title="a")
        me.expect(200, "PATCH", f"/tasks/{task['id']}", json={"is_completed": is_completed})
    first = me.expect(200, "GET", path)
    me.expect(200, "GET", f"{path}&cursor={first['next_cursor']}")


def _all_calls_on_one_task(me: Api) -> None:
    task = me.task(title="New", description="As it was")
    path = f"/tasks/{task['id']}"
    known = {"If-None-Match": f'"{task["version"]}"'}
    me.expect(200, "GET", path)
    me.expect(304, "GET", path, headers=known)
    me.expect(304, "GET", "/tasks", headers={"If-None-Match": "*"})
    me.expect(200, "PUT", path, json={"title": "Newer", "description": None, "is_completed": True})
    me.expect(200, "PATCH", path, json={})
    found = me.expect(200, "PATCH", path, json={"is_completed": False})
    matching = {"If-Match": f'"{found["version"]}"'}
    me.expect(200, "PATCH", path, json={"title": "Newest"}, headers=matching)
    me.expect(204, "DELETE", path)


def _one_write_sent_twice(me: Api) -> None:
    for _ in range(2):
        keyed = {"json": {"title": "Once"}, "headers": {"Idempotency-Key": "once"}}
        me.expect(201, "POST", "/tasks", **keyed)


DONE: dict[str, Callable[[Api], None]] = {
    "all calls on one task": _all_calls_on_one_task,
    "one write, sent twice with its key": _one_write_sent_twice,
    **{path: lambda me, path=path: _list_from_its_cursor(me, path) for path in _lists()},
}


@pytest.mark.parametrize("name", DONE)
def test_a_task_call_asks_one_shard(cut: Cut, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with sharded.listening(monkeypatch) as sent:
        DONE[name](cut.me)
    mine = cut.shard_of(cut.me)
    assert len(sent) >= 4
    for one, parts in zip(sent, cut.shards(sent), strict=True):
        assert parts, one.sql
        assert parts <= {f"{table}{mine}" for table in COLUMN_OF}, one.sql


def test_a_new_row_lies_with_its_account(cut: Cut) -> None:
    for person in (cut.me, cut.stranger):
        task = person.task()
        (found,) = cut.connection.execute(
            "SELECT tableoid::regclass::text FROM tasks WHERE user_id = %s AND id = %s",
            [person.user_id, task["id"]],
        )
        assert found == (f"tasks{cut.shard_of(person)}",)


def test_only_to_tell_a_403_from_a_404_all_shards_are_asked(
    cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a task is somebody else's cannot be known where one's own lie."""
    theirs = cut.stranger.task()["id"]
    with sharded.listening(monkeypatch) as sent:
        cut.me.problem(403, "forbidden", "GET", f"/tasks/{theirs}")
        cut.me.problem(404, "not_found", "DELETE", "/tasks/999999")
    mine = cut.shard_of(cut.me)
    everywhere = {f"tasks_{number}" for number in range(sharded.SHARDS)}
    asked, why, tried, why_too = cut.shards(sent)
    assert asked == {f"sessions{mine}", f"tasks{mine}"}
    assert tried == {f"sessions{mine}", f"tasks{mine}", f"users{mine}"}
    assert why == why_too == {f"sessions{mine}", *everywhere}
