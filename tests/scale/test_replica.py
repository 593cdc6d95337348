"""Lists from a replica: no client sees an older state, and the service works without it.

The replica is a real one, whose replay is paused to make it lag.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from scale.replica import PORT, Replica, replicated
from support import databases
from support.api import Api
from support.contract import Contract
from support.servers import serving
from support.writers import person

from taskapi import create_app
from taskapi.db import replicas
from taskapi.runtime.connection import Connection

pytestmark = pytest.mark.processes

PRIMARY, REPLICA = "primary", "replica"
LEFT_ALONE = 5.0
LIST = "/tasks?limit=10"


@pytest.fixture(scope="module")
def database(run_folder: Path) -> Iterator[tuple[str, Replica]]:
    folder = run_folder / f"replicated-{time.monotonic_ns()}"
    folder.mkdir(mode=0o755)
    with replicated(folder) as created:
        yield created


@pytest.fixture(scope="module")
def replica(database: tuple[str, Replica]) -> Replica:
    return database[1]


@pytest.fixture
def replicating(database: tuple[str, Replica]) -> Iterator[Flask]:
    """The service before its first query of the replica."""
    url, replica = database
    app = create_app(databases.settings_for(url, database_url_replica=replica.url))
    yield app
    app.extensions["taskapi_pool"].close()
    app.extensions["taskapi_replica"].connections.close()


@pytest.fixture
def me(replicating: Flask, contract: Contract) -> Api:
    return Api(replicating.test_client(), contract).registered()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The server of each statement."""
    servers: list[str] = []
    run = Connection.run

    def recorded_run(self: Connection, *statement: Any, **how: Any) -> Any:
        servers.append(REPLICA if int(self.pgconn.port) == PORT else PRIMARY)
        return run(self, *statement, **how)

    monkeypatch.setattr(Connection, "run", recorded_run)
    return servers


def _titles(person: Api) -> list[str]:
    return [task["title"] for task in person.expect(200, "GET", LIST)["tasks"]]


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


def test_an_up_to_date_replica_serves_lists(me: Api, replica: Replica, servers: list[str]) -> None:
    tasks = [me.task(title=title) for title in ("one", "two", "three")]
    replica.catch_up()
    servers.clear()
    page = me.send("GET", "/tasks?limit=2")
    assert page.get_json()["tasks"] == [tasks[2], tasks[1]]
    assert page.get_json()["total"] == 3
    rest = me.expect(200, "GET", f"/tasks?limit=2&cursor={page.get_json()['next_cursor']}")
    assert rest["tasks"] == [tasks[0]]
    assert servers == [PRIMARY, REPLICA] * 2


def test_the_primary_alone_returns_304(me: Api, replica: Replica, servers: list[str]) -> None:
    me.task()
    known = {"If-None-Match": me.send("GET", LIST).headers["ETag"]}
    with replica.behind():
        servers.clear()
        assert me.send("GET", LIST, headers=known).status_code == 304
        assert servers == [PRIMARY]
        task = me.task(title="Newer")
        assert me.expect(200, "GET", LIST, headers=known)["tasks"][0] == task


def test_a_client_reads_its_writes_before_the_replica_has_them(
    me: Api, replica: Replica, servers: list[str]
) -> None:
    kept, gone = me.task(title="Kept"), me.task(title="Gone")
    elsewhere = me.again()
    with replica.behind():
        servers.clear()
        me.expect(204, "DELETE", f"/tasks/{gone['id']}")
        me.expect(200, "PATCH", f"/tasks/{kept['id']}", json={"title": "Changed"})
        me.task(title="Added")
        there = replica.ask(
            "SELECT array_agg(title ORDER BY id) FROM tasks WHERE user_id = %s", me.user_id
        )
        assert there == ["Kept", "Gone"]
        for person in (me, elsewhere):
            assert _titles(person) == ["Added", "Changed"]
            assert servers[-3:] == [PRIMARY, REPLICA, PRIMARY]
    replica.catch_up()
    assert _titles(me) == ["Added", "Changed"]
    assert servers[-2:] == [PRIMARY, REPLICA]


def test_a_list_never_goes_back_in_time(me: Api, replica: Replica, servers: list[str]) -> None:
    created = 0
    for _ in range(8):
        with replica.behind():
            for _ in range(3):
                assert me.expect(200, "GET", LIST)["total"] == created
                me.task()
                created += 1
                assert me.expect(200, "GET", LIST)["total"] == created
        for _ in range(5):
            assert me.expect(200, "GET", LIST)["total"] == created
    assert servers.count(REPLICA) > 8


def test_an_ended_session_reads_nothing_from_a_lagging_replica(
    me: Api, replica: Replica, servers: list[str]
) -> None:
    me.task()
    with replica.behind():
        me.expect(200, "POST", "/auth/logout")
        assert replica.ask(
            "SELECT count(*) FROM sessions WHERE user_id = %s AND revoked_at IS NULL", me.user_id
        )
        servers.clear()
        me.problem(401, "session_ended", "GET", LIST)
        assert REPLICA not in servers


@pytest.fixture
def owner(replicating: Flask, contract: Contract) -> Api:
    return Api(replicating.test_client(), contract).registered()


def test_a_removed_member_reads_nothing_from_a_lagging_replica(
    me: Api, owner: Api, replica: Replica, servers: list[str]
) -> None:
    shared = owner.workspace(viewer=me)
    owner.at(shared).task(title="Here")
    with replica.behind():
        assert _titles(me.at(shared)) == ["Here"]
        assert servers[-2:] == [PRIMARY, REPLICA]
        owner.expect(204, "DELETE", f"/workspaces/{shared}/members/{me.user_id}")
        member = "SELECT role FROM memberships WHERE workspace_id = %s AND user_id = %s"
        assert replica.ask(member, shared, me.user_id) == "viewer"
        servers.clear()
        me.at(shared).problem(403, "forbidden", "GET", LIST)
        assert REPLICA not in servers
        owner.invite(shared, me, "viewer")
        owner.at(shared).task(title="Newer")
        assert _titles(me.at(shared)) == ["Newer", "Here"]
    replica.catch_up()
    assert _titles(me.at(shared)) == ["Newer", "Here"]
    assert servers[-2:] == [PRIMARY, REPLICA]


def test_a_new_member_reads_before_the_replica_has_the_membership(
    me: Api, owner: Api, replica: Replica
) -> None:
    shared = owner.workspace()
    owner.at(shared).task(title="Here")
    with replica.behind():
        owner.invite(shared, me, "viewer")
        assert _titles(me.at(shared)) == ["Here"]


def test_a_session_that_ends_between_the_queries_reads_nothing(
    me: Api, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session ends between the queries of the primary and the replica."""
    me.task()
    replica.catch_up()
    ask_replica = replicas.database.replica_rows

    def ended_first(*statement: Any, **parameters: Any) -> Any:
        monkeypatch.undo()
        me.again().expect(200, "DELETE", "/auth/sessions")
        replica.catch_up()
        return ask_replica(*statement, **parameters)

    monkeypatch.setattr(replicas.database, "replica_rows", ended_first)
    me.problem(401, "session_ended", "GET", LIST)


def test_a_new_session_reads_before_the_replica_has_it(me: Api, replica: Replica) -> None:
    me.task(title="Here")
    with replica.behind():
        assert _titles(me.again()) == ["Here"]


def test_a_stopped_replica_causes_no_outage(me: Api, replica: Replica, servers: list[str]) -> None:
    me.task(title="Here")
    replica.catch_up()
    assert _titles(me) == ["Here"]
    replica.kill()
    try:
        with _within(1):
            assert [_titles(me) for _ in range(10)] == [["Here"]] * 10
        assert me.expect(200, "GET", "/readyz")
    finally:
        replica.start()
    replica.catch_up()
    time.sleep(LEFT_ALONE)
    servers.clear()
    assert _titles(me) == ["Here"]
    assert servers == [PRIMARY, REPLICA]


def test_a_hanging_replica_delays_only_one_request(database: tuple[str, Replica]) -> None:
    """Each worker waits for half a second, and then does not use it for a while."""
    url, replica = database
    with (
        serving(url, DATABASE_URL_REPLICA=replica.url, WEB_CONCURRENCY="1") as service,
        person(service) as client,
    ):
        replica.catch_up()
        assert client.get(LIST).status_code == 200
        with replica.standing_still():
            seconds = [
                client.get(LIST).raise_for_status().elapsed.total_seconds() for _ in range(9)
            ]
        assert 0.4 < max(seconds) < 1
        assert sum(taken > 0.4 for taken in seconds) == 1
