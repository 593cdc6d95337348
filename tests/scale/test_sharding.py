"""The data of a workspace is in one shard, and each operation on tasks queries only that one.

`sharded` describes what stands for a distributed PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from flask import Flask
from scale import sharded
from scale.scenarios import DONE
from scale.sharded import COLUMN_OF
from support import databases
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.world import at_once

from taskapi import create_app


class Cut:
    """The service on tables that are partitioned like the shards of the script, with two users."""

    def __init__(self, app: Flask, contract: Contract, url: str) -> None:
        self.app, self.contract = app, contract
        client = app.test_client()
        self.me, self.stranger = (Api(client, contract).registered() for _ in range(2))
        self.connection = psycopg.connect(url, autocommit=True)
        sharded.cut(self.connection, sharded.distribute(self.connection))

    def person(self) -> Api:
        """A client without an account."""
        return Api(self.app.test_client(), self.contract)

    def ids(self, email: str) -> list[int]:
        """The accounts with an email."""
        users = self.connection.execute("SELECT id FROM users WHERE email = %s", [email])
        return [one for (one,) in users]

    def shards(self, sent: list[sharded.Sent]) -> list[set[str]]:
        """The partitions that each statement reads or changes."""
        return [sharded.parts(self.connection, one) for one in sent]

    def shard_of(self, person: Api) -> str:
        """The suffix of the partitions with a user's rows."""
        found = self.connection.execute(
            "SELECT tableoid::regclass::text FROM workspaces WHERE id = %s", [person.user_id]
        ).fetchone()
        assert found
        return str(found[0]).removeprefix("workspaces")


@pytest.fixture(scope="module")
def cut(server_url: str, template: str, worker_id: str, contract: Contract) -> Iterator[Cut]:
    url = databases.create(server_url, f"cut_{worker_id}", template)
    app = create_app(databases.settings_for(url))
    created = Cut(app, contract, url)
    yield created
    created.connection.close()
    app.extensions["taskapi_pool"].close()


@pytest.mark.parametrize("name", DONE)
def test_a_task_operation_queries_one_shard(
    cut: Cut, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with sharded.listening(monkeypatch) as sent:
        DONE[name](cut.me)
    mine = cut.shard_of(cut.me)
    assert len(sent) >= 4
    for one, parts in zip(sent, cut.shards(sent), strict=True):
        # Those of accounts read reference tables, which each node has.
        assert parts or b"nextval" in one.sql or b"FROM users" in one.sql, one.sql
        assert parts <= {f"{table}{mine}" for table in COLUMN_OF}, one.sql
        # Citus refuses a write that is not the only one, unless all are inside WITH.
        assert one.sql.count(b" SET ") + one.sql.count(b"INSERT INTO ") < 2 or re.search(
            rb"^ ?SELECT ", one.sql, re.MULTILINE
        )
        assert b"::VARCHAR" not in one.sql


def test_a_new_row_is_in_the_shard_of_its_workspace(cut: Cut) -> None:
    for person in (cut.me, cut.stranger):
        task = person.task()
        (found,) = cut.connection.execute(
            "SELECT tableoid::regclass::text FROM tasks WHERE workspace_id = %s AND id = %s",
            [person.user_id, task["id"]],
        )
        assert found == (f"tasks{cut.shard_of(person)}",)


def test_triggers_query_the_same_shard_or_the_members(cut: Cut) -> None:
    mine, theirs = cut.me.label()["id"], cut.stranger.label()["id"]
    body = {"title": "a", "label_ids": [mine, theirs]}
    cut.me.problem(400, "invalid_input", "POST", "/tasks", json=body)
    cut.me.task(label_ids=[mine])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        cut.connection.execute("DELETE FROM labels WHERE id = %s", [mine])
    cut.me.task(assignee_id=cut.me.user_id)
    assigned = {"title": "a", "assignee_id": cut.stranger.user_id}
    cut.me.problem(400, "invalid_input", "POST", "/tasks", json=assigned)
    functions = cut.connection.execute(
        "SELECT prosrc FROM pg_proc JOIN pg_trigger ON tgfoid = pg_proc.oid"
        " WHERE tgrelid IN ('tasks'::regclass, 'labels'::regclass) AND NOT tgisinternal"
    ).fetchall()
    assert len(functions) == 3
    columns = {**COLUMN_OF, "memberships": "workspace_id"}  # of which each node has all rows
    for (source,) in functions:
        queried = re.findall(r"FROM (\w+)\s+WHERE (\S+) = (?:NEW|OLD)\.workspace_id\b", source)
        assert len(queried) == source.count("FROM ")
        assert {(table, columns[table]) for table, _ in queried} == set(queried)


def test_only_403_and_404_query_all_shards(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's shard does not know whether a task belongs to another user."""
    theirs = cut.stranger.task()["id"]
    with sharded.listening(monkeypatch) as sent:
        cut.me.problem(403, "forbidden", "GET", f"/tasks/{theirs}")
        cut.me.problem(404, "not_found", "DELETE", "/tasks/999999")
    mine = cut.shard_of(cut.me)
    everywhere = {f"tasks_{number}" for number in range(sharded.SHARDS)}
    queried, why, tried, read, why_too = cut.shards(sent)
    assert queried == read == {f"tasks{mine}"}
    deleted = ("tasks", "workspaces", "lists", "occurrences")
    assert tried == {f"{table}{mine}" for table in deleted}
    assert why == why_too == everywhere


def test_an_account_can_be_registered_deleted_and_registered_again(cut: Cut) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD}
    keyed = {"json": body, "headers": {"Idempotency-Key": "once"}}
    ids = []
    for _ in range(2):
        me = cut.person()
        first, again = (me.expect(201, "POST", "/auth/register", **keyed) for _ in range(2))
        assert first == again
        me.login = first
        ids.append(me.user_id)
        assert cut.ids(email) == [me.user_id]
        cut.person().problem(400, "email_taken", "POST", "/auth/register", json=body)
        other = cut.person()
        other.login = other.expect(200, "POST", "/auth/login", json=body)
        task = other.task()
        assert me.expect(200, "GET", "/tasks")["tasks"] == [task]
        me.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
        assert cut.ids(email) == []
        other.problem(401, "session_ended", "GET", "/tasks")
        other.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
    assert len({*ids, cut.me.user_id, cut.stranger.user_id}) == 4


def test_one_of_twenty_concurrent_registrations_of_an_email_succeeds(cut: Cut) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD}
    calls = [
        partial(cut.person().send, "POST", "/auth/register", json=body, headers=headers)
        for number in range(10)
        for headers in ({}, {"Idempotency-Key": f"key {number}"})
    ]
    responses = at_once(calls)
    assert sorted(response.status_code for response in responses) == [201] + [400] * 19
    (won,) = (response.get_json() for response in responses if response.status_code == 201)
    assert cut.ids(email) == [won["user"]["id"]]


def test_user_commands_create_find_and_delete_accounts_by_email(cut: Cut) -> None:
    email = new_email()
    flask = partial(cut.app.test_cli_runner().invoke, input=f"{PASSWORD}\n")
    assert flask(args=["users", "create", email]).exit_code == 0
    assert flask(args=["users", "create", email]).stderr == "Error: Email already registered\n"
    assert email in flask(args=["users", "show", email]).stdout
    assert flask(args=["users", "delete", email, "--yes"]).exit_code == 0
    assert cut.ids(email) == []


def test_a_login_reads_only_reference_tables(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"email": cut.me.email, "password": PASSWORD}
    with sharded.listening(monkeypatch) as sent:
        cut.person().expect(200, "POST", "/auth/login", json=body)
    assert len(sent) >= 2
    assert [parts for parts in cut.shards(sent) if parts] == []
