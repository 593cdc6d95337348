"""One account's data can lie on one shard: each task call asks that one alone.

What stands for a distributed PostgreSQL here, and what was not run, says `sharded`.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from flask import Flask
from scale import sharded
from scale.sharded import Distribution
from support import databases
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.world import at_once

from taskapi import create_app
from taskapi.health.service import check_schema, migration_head

LOCAL = {"rate_limits", "alembic_version"}

FIRST_WITHOUT_TRIGGERS = "0007"

ACCOUNT_7 = "INSERT INTO users (id, email, hashed_password) VALUES (7, 'a@b', '')"

DISTRIBUTED = [
    Distribution("users", "id", "default"),
    Distribution("sessions", "user_id", "users"),
    Distribution("lists", "user_id", "users"),
    Distribution("labels", "user_id", "users"),
    Distribution("filters", "user_id", "users"),
    Distribution("tasks", "user_id", "users"),
    Distribution("occurrences", "user_id", "users"),
    Distribution("idempotency_keys", "user_id", "users"),
    Distribution("emails", "email", "none"),
]
COLUMN_OF = {one.table: one.column for one in DISTRIBUTED}
OF_ACCOUNTS = set(COLUMN_OF) - {"emails"}
"""Tables whose rows lie with their account."""


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


class Cut:
    """The service on tables that are cut as the script says, with two who were there before."""

    def __init__(self, app: Flask, contract: Contract, url: str) -> None:
        self.app, self.contract = app, contract
        client = app.test_client()
        self.me, self.stranger = (Api(client, contract).registered() for _ in range(2))
        self.connection = psycopg.connect(url, autocommit=True)
        sharded.cut(self.connection, sharded.distribute(self.connection))

    def person(self) -> Api:
        """Somebody who has no account yet."""
        return Api(self.app.test_client(), self.contract)

    def ids(self, email: str) -> tuple[list[int], list[int]]:
        """Whose an email is by the tables of accounts and of emails."""
        users = self.connection.execute("SELECT id FROM users WHERE email = %s", [email])
        emails = self.connection.execute("SELECT user_id FROM emails WHERE email = %s", [email])
        return [one for (one,) in users], [one for (one,) in emails]

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


def _all_calls_on_one_list(me: Api) -> None:
    made = [me.expect(201, "POST", "/lists", json={"name": name}) for name in "abc"]
    paths = [f"/lists/{one['id']}" for one in made]
    me.expect(200, "GET", paths[0])
    me.expect(200, "PATCH", paths[0], json={"name": "d", "color": "#123456"})
    first = me.expect(200, "GET", "/lists?limit=1")
    me.expect(200, "GET", f"/lists?limit=1&cursor={first['next_cursor']}")
    me.expect(200, "POST", f"{paths[0]}/move", json={"after": None})
    for n in range(150):  # until there is no room
        me.expect(200, "POST", f"{paths[n % 2]}/move", json={"after": me.user_id})
    me.expect(200, "GET", "/lists?limit=1&sort=position")
    task = me.task(list_id=made[0]["id"])
    me.expect(200, "GET", f"/tasks?list_id={made[0]['id']}")
    me.expect(200, "PATCH", f"/tasks/{task['id']}", json={"list_id": made[1]["id"]})
    me.expect(204, "DELETE", paths[0])
    me.expect(204, "DELETE", f"{paths[1]}?tasks=move")
    me.expect(204, "DELETE", f"{paths[2]}?tasks=delete")


def _all_calls_on_labels(me: Api) -> None:
    made = [me.label() for _ in range(3)]
    paths = [f"/labels/{one['id']}" for one in made]
    me.expect(200, "GET", paths[0])
    me.expect(200, "PATCH", paths[0], json={"color": "#123456"})
    first = me.expect(200, "GET", "/labels?limit=1")
    me.expect(200, "GET", f"/labels?limit=1&cursor={first['next_cursor']}")
    task = me.task(label_ids=[made[1]["id"], made[0]["id"]])
    assert task["label_ids"] == [made[0]["id"], made[1]["id"]]
    path = f"/tasks/{task['id']}"
    me.expect(200, "DELETE", f"{path}{paths[0]}")
    me.expect(200, "PUT", f"{path}{paths[0]}")
    me.expect(200, "POST", f"{paths[0]}/merge", json={"into": made[2]["id"]})
    assert me.expect(200, "GET", path)["label_ids"] == [made[1]["id"], made[2]["id"]]
    me.expect(204, "DELETE", paths[1])
    me.expect(200, "PATCH", path, json={"label_ids": [made[2]["id"]]})


def _all_calls_on_one_family(me: Api) -> None:
    parent, beside = me.task(), me.task()
    child = me.task(parent_id=parent["id"])
    path = f"/tasks/{parent['id']}"
    me.expect(200, "POST", f"{path}/move", json={"after": beside["id"]})
    me.expect(200, "POST", f"{path}/move", json={"after": None})
    for _ in range(100):  # until there is no room
        me.expect(200, "POST", f"{path}/move", json={"after": beside["id"]})
        me.expect(200, "POST", f"/tasks/{me.task()['id']}/move", json={"after": beside["id"]})
    me.expect(200, "PATCH", path, json={"list_id": _new_list(me)})
    me.expect(200, "PATCH", path, json={"is_completed": True})
    me.expect(200, "PATCH", f"/tasks/{child['id']}", json={"parent_id": None})
    me.task(parent_id=child["id"])
    me.expect(204, "DELETE", f"/tasks/{child['id']}")


def _all_calls_on_what_comes_again(me: Api) -> None:
    values = {"due": {"date": "2150-01-05"}, "recurrence": {"rrule": "FREQ=DAILY;COUNT=3"}}
    task = me.task(**values)
    me.task(parent_id=task["id"], is_completed=True)
    path = f"/tasks/{task['id']}"
    for verb in ("complete", "skip", "complete", "undo", "complete"):
        keyed = {"headers": {"Idempotency-Key": f"{verb}-{me.task()['id']}"}}
        me.expect(200, "POST", f"{path}/{verb}", **keyed)
    first = me.expect(200, "GET", f"{path}/occurrences?limit=2")
    assert first["total"] == 3
    me.expect(200, "GET", f"{path}/occurrences?limit=2&cursor={first['next_cursor']}")
    me.expect(200, "PATCH", path, json={"due": {"date": "2150-02-01"}})
    me.expect(200, "PATCH", path, json={"recurrence": None})
    me.expect(204, "DELETE", path)


def _new_list(me: Api) -> int:
    return int(me.expect(201, "POST", "/lists", json={"name": "a"})["id"])


def _all_calls_on_filters(me: Api) -> None:
    label = me.label(name="urgent")
    query = "label = urgent or list in (inbox, 1) or parent = {} or due < today"
    task = me.task(label_ids=[label["id"]])
    made = me.filter(query=query.replace("1", str(me.user_id)).format(task["id"]))
    path = f"/filters/{made['id']}"
    me.expect(200, "GET", path)
    me.expect(200, "PATCH", path, json={"color": "#123456"})
    me.filter()
    first = me.expect(200, "GET", "/filters?limit=1")
    me.expect(200, "GET", f"/filters?limit=1&cursor={first['next_cursor']}")
    assert len(me.expect(200, "GET", f"/tasks?filter_id={made['id']}")["tasks"]) > 0
    me.expect(204, "DELETE", path)


DONE: dict[str, Callable[[Api], None]] = {
    "all calls on one family": _all_calls_on_one_family,
    "all calls on what comes again": _all_calls_on_what_comes_again,
    "all calls on one task": _all_calls_on_one_task,
    "all calls on one list": _all_calls_on_one_list,
    "all calls on labels": _all_calls_on_labels,
    "all calls on filters": _all_calls_on_filters,
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
        assert parts or b"nextval" in one.sql, one.sql
        assert parts <= {f"{table}{mine}" for table in OF_ACCOUNTS}, one.sql


def test_a_new_row_lies_with_its_account(cut: Cut) -> None:
    for person in (cut.me, cut.stranger):
        task = person.task()
        (found,) = cut.connection.execute(
            "SELECT tableoid::regclass::text FROM tasks WHERE user_id = %s AND id = %s",
            [person.user_id, task["id"]],
        )
        assert found == (f"tasks{cut.shard_of(person)}",)


def test_labels_are_kept_right_by_triggers_that_ask_the_same_shard(cut: Cut) -> None:
    mine, theirs = cut.me.label()["id"], cut.stranger.label()["id"]
    body = {"title": "a", "label_ids": [mine, theirs]}
    cut.me.problem(400, "invalid_input", "POST", "/tasks", json=body)
    cut.me.task(label_ids=[mine])
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        cut.connection.execute("DELETE FROM labels WHERE id = %s", [mine])
    functions = cut.connection.execute(
        "SELECT prosrc FROM pg_proc JOIN pg_trigger ON tgfoid = pg_proc.oid"
        " WHERE tgrelid IN ('tasks'::regclass, 'labels'::regclass) AND NOT tgisinternal"
    ).fetchall()
    assert len(functions) == 2
    for (source,) in functions:
        asked = re.findall(r"FROM (\w+)\s+WHERE (\S+) = (?:NEW|OLD)\.user_id\b", source)
        assert len(asked) == source.count("FROM ")
        assert {(table, COLUMN_OF[table]) for table, _ in asked} == set(asked)


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


def test_an_account_lives_from_its_registration_to_its_deletion_and_again(cut: Cut) -> None:
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
        assert cut.ids(email) == ([me.user_id], [me.user_id])
        cut.person().problem(400, "email_taken", "POST", "/auth/register", json=body)
        other = cut.person()
        other.login = other.expect(200, "POST", "/auth/login", json=body)
        task = other.task()
        assert me.expect(200, "GET", "/tasks")["tasks"] == [task]
        me.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
        assert cut.ids(email) == ([], [])
        other.problem(401, "token_invalid", "GET", "/tasks")
        other.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
    assert len({*ids, cut.me.user_id, cut.stranger.user_id}) == 4


def test_of_twenty_who_register_one_email_at_once_one_gets_it(cut: Cut) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD}
    calls = [
        partial(cut.person().send, "POST", "/auth/register", json=body, headers=headers)
        for number in range(10)
        for headers in ({}, {"Idempotency-Key": f"key {number}"})
    ]
    answers = at_once(calls)
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 19
    (won,) = (answer.get_json() for answer in answers if answer.status_code == 201)
    assert cut.ids(email) == ([won["user"]["id"]], [won["user"]["id"]])


def test_who_runs_the_service_makes_finds_and_deletes_accounts_by_email(cut: Cut) -> None:
    email = new_email()
    flask = partial(cut.app.test_cli_runner().invoke, input=f"{PASSWORD}\n")
    assert flask(args=["users", "create", email]).exit_code == 0
    assert flask(args=["users", "create", email]).stderr == "Error: Email already registered\n"
    assert email in flask(args=["users", "show", email]).stdout
    assert flask(args=["users", "delete", email, "--yes"]).exit_code == 0
    assert cut.ids(email) == ([], [])


def test_a_login_asks_one_shard_whose_the_email_is_and_then_all_for_the_account(
    cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one statement, so where the account lies is not known when it is planned."""
    body = {"email": cut.me.email, "password": PASSWORD}
    with sharded.listening(monkeypatch) as sent:
        cut.person().expect(200, "POST", "/auth/login", json=body)
    credentials, session = cut.shards(sent)
    everywhere = {f"users_{number}" for number in range(sharded.SHARDS)}
    (asked,) = credentials - everywhere
    assert asked.startswith("emails_")
    assert credentials >= everywhere
    mine = cut.shard_of(cut.me)
    assert session == {f"users{mine}", f"sessions{mine}"}


def test_no_step_of_a_statement_reads_emails_beside_another_table(
    cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie on other nodes than their accounts, and there such a join is refused."""
    email = new_email()
    body = {"email": email, "password": PASSWORD}
    keyed = {"json": body, "headers": {"Idempotency-Key": "once"}}
    with sharded.listening(monkeypatch) as sent:
        me = cut.person()
        me.login = me.expect(201, "POST", "/auth/register", **keyed)
        me.expect(201, "POST", "/auth/register", **keyed)
        me.expect(200, "POST", "/auth/login", json=body)
        assert cut.app.test_cli_runner().invoke(args=["users", "show", email]).exit_code == 0
        me.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    asked = [step for one in sent for step in sharded.steps(cut.connection, one)]
    with_emails = [step for step in asked if any(name.startswith("emails_") for name in step)]
    assert len(with_emails) >= 4
    for step in with_emails:
        assert {name.rpartition("_")[0] for name in step} == {"emails"}
