"""Creation with DATABASE_SHARDED: several statements that use one shard each.

Responses and errors are those of the single statement. The tests of all content also passed with
the setting; these are the cases that differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from scale import sharded
from scale.test_sharding import Cut
from support import databases
from support.api import Api
from support.contract import Contract

from taskapi import create_app

NOWHERE = 9_007_199_254_740_991
VALUES: dict[str, dict[str, Any]] = {
    "/tasks": {
        "title": "Water the roses",
        "description": "all of them",
        "due": {"date": "2150-01-05"},
        "recurrence": {"rrule": "FREQ=DAILY"},
    },
    "/lists": {"name": "Garden", "color": "#123456"},
    "/labels": {"name": "urgent"},
    "/filters": {"name": "Late", "query": "due < today"},
}
_OWN = ("id", "user_id", "list_id", "workspace_id", "position", "created_at", "updated_at")


@contextmanager
def _app(url: str, **settings: object) -> Iterator[Flask]:
    app = create_app(databases.settings_for(url, database_sharded=True, **settings))
    yield app
    app.extensions["taskapi_pool"].close()


@pytest.fixture(scope="module")
def cut(server_url: str, template: str, worker_id: str, contract: Contract) -> Iterator[Cut]:
    url = databases.create(server_url, f"creation_{worker_id}", template)
    with _app(url) as app:
        created = Cut(app, contract, url)
        yield created
        created.connection.close()


@pytest.fixture
def me(cut: Cut) -> Api:
    return cut.person().registered()


@pytest.mark.parametrize("path", VALUES)
def test_a_row_is_created_as_by_one_statement(user: Api, me: Api, path: str) -> None:
    expected, found = (api.expect(201, "POST", path, json=VALUES[path]) for api in (user, me))
    assert {k: v for k, v in found.items() if k not in _OWN} == {
        k: v for k, v in expected.items() if k not in _OWN
    }
    assert found["created_at"] == found["updated_at"]
    assert me.expect(200, "GET", f"{path}/{found['id']}") == found


@pytest.mark.parametrize(("path", "number"), [("/tasks", 3), ("/lists", 2), ("/labels", 2)])
def test_each_statement_uses_one_shard(
    cut: Cut, me: Api, monkeypatch: pytest.MonkeyPatch, path: str, number: int
) -> None:
    with sharded.listening(monkeypatch) as sent:
        me.expect(201, "POST", path, json={"title": "Simple"} if number > 2 else VALUES[path])
    assert len(sent) == number
    mine = cut.shard_of(me)
    for one in sent:
        text = one.sql.decode()
        # The plan of an INSERT does not name the partition, which follows from the value.
        is_insert = text.startswith("INSERT INTO") and " VALUES ($1::BIGINT" in text
        assert is_insert or "INSERT" not in text
        assert not is_insert or one.values[0] == me.user_id
        assert all(part.endswith(mine) for part in sharded.parts(cut.connection, one))


def test_a_new_task_is_counted_and_can_be_found(me: Api) -> None:
    made = me.list()
    me.task(title="Roses", list_id=made["id"])
    me.task(title="Roses too", list_id=made["id"], is_completed=True)
    lists = me.expect(200, "GET", "/lists")["lists"]
    (found,) = (one for one in lists if one["id"] == made["id"])
    assert (found["open_count"], found["completed_count"]) == (1, 1)
    assert me.expect(200, "GET", "/tasks")["total"] == 2
    assert len(me.expect(200, "GET", "/search?text=roses")["results"]) == 2


@pytest.mark.parametrize("field", ["list_id", "label_ids", "parent_id"])
def test_nothing_changes_if_a_reference_is_unknown(me: Api, field: str) -> None:
    value = [NOWHERE] if field == "label_ids" else NOWHERE
    before = me.send("GET", "/tasks").headers["ETag"]
    problem = me.problem(400, "invalid_input", "POST", "/tasks", json={"title": "a", field: value})
    assert problem["errors"][0]["code"] == "unknown_reference"
    assert me.send("GET", "/tasks").headers["ETag"] == before


def test_an_ended_session_is_an_error(me: Api) -> None:
    me.expect(200, "POST", "/auth/logout")
    me.problem(401, "session_ended", "POST", "/tasks", json={"title": "a"})


def test_a_repeated_key_creates_once(me: Api) -> None:
    keyed = {"json": {"title": "Once"}, "headers": {"Idempotency-Key": "once"}}
    first, again = (me.expect(201, "POST", "/tasks", **keyed) for _ in range(2))
    assert first == again
    assert me.expect(200, "GET", "/tasks")["total"] == 1


def test_a_viewer_of_a_shared_workspace_creates_nothing(me: Api, cut: Cut) -> None:
    guest = cut.person().registered()
    inside = guest.at(me.workspace(viewer=guest))
    inside.problem(403, "insufficient_role", "POST", "/tasks", json={"title": "a"})


def test_a_quota_is_an_error(database_url: str, contract: Contract) -> None:
    quotas = {"quota_tasks": 2, "quota_labels": 1, "quota_text_bytes": 10}
    with _app(database_url, **quotas) as app:
        me = Api(app.test_client(), contract).registered()
        me.task(title="a" * 9)
        problem = me.problem(409, "quota_exceeded", "POST", "/tasks", json={"title": "bb"})
        assert "10 text bytes" in problem["detail"]
        me.task(title="b")
        problem = me.problem(409, "quota_exceeded", "POST", "/tasks", json={"title": "c"})
        assert "2 tasks" in problem["detail"]
        me.label(name="urgent")
        me.problem(409, "quota_exceeded", "POST", "/labels", json={"name": "second"})
        me.list(name="Garden")
        me.problem(409, "list_exists", "POST", "/lists", json={"name": "GARDEN"})
