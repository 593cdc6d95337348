"""Lists from a replica: no client sees an older state, and a missing replica is no failure.

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
from taskapi.runtime.connection import Connection

pytestmark = pytest.mark.slow

PRIMARY, REPLICA = "primary", "replica"
LEFT_ALONE = 5.0
LIST = "/tasks?limit=10"


@pytest.fixture(scope="module")
def database(run_folder: Path) -> Iterator[tuple[str, Replica]]:
    folder = run_folder / f"replicated-{time.monotonic_ns()}"
    folder.mkdir(mode=0o755)
    with replicated(folder) as made:
        yield made


@pytest.fixture(scope="module")
def replica(database: tuple[str, Replica]) -> Replica:
    return database[1]


@pytest.fixture
def replicating(database: tuple[str, Replica]) -> Iterator[Flask]:
    """The service, which has not asked the replica for anything yet."""
    url, replica = database
    app = create_app(databases.settings_for(url, database_url_replica=replica.url))
    yield app
    app.extensions["taskapi_pool"].close()
    app.extensions["taskapi_replica"].connections.close()


@pytest.fixture
def me(replicating: Flask, contract: Contract) -> Api:
    return Api(replicating.test_client(), contract).registered()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which server each statement is sent to."""
    servers: list[str] = []
    run = Connection.run

    def heard(self: Connection, *statement: Any, **how: Any) -> Any:
        servers.append(REPLICA if int(self.pgconn.port) == PORT else PRIMARY)
        return run(self, *statement, **how)

    monkeypatch.setattr(Connection, "run", heard)
    return servers


def _titles(person: Api) -> list[str]:
    return [task["title"] for task in person.expect(200, "GET", LIST)["tasks"]]


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


def test_a_list_comes_from_a_replica_that_has_all(
    me: Api, replica: Replica, asked: list[str]
) -> None:
    tasks = [me.task(title=title) for title in ("one", "two", "three")]
    replica.catch_up()
    asked.clear()
    page = me.send("GET", "/tasks?limit=2")
    assert page.get_json()["tasks"] == [tasks[2], tasks[1]]
    assert page.get_json()["total"] == 3
    rest = me.expect(200, "GET", f"/tasks?limit=2&cursor={page.get_json()['next_cursor']}")
    assert rest["tasks"] == [tasks[0]]
    assert asked == [PRIMARY, REPLICA] * 2


def test_a_list_that_the_client_has_is_known_by_the_primary_alone(
    me: Api, replica: Replica, asked: list[str]
) -> None:
    me.task()
    known = {"If-None-Match": me.send("GET", LIST).headers["ETag"]}
    with replica.behind():
        asked.clear()
        assert me.send("GET", LIST, headers=known).status_code == 304
        assert asked == [PRIMARY]
        task = me.task(title="Newer")
        assert me.expect(200, "GET", LIST, headers=known)["tasks"][0] == task


def test_whoever_has_written_sees_it_though_the_replica_does_not(
    me: Api, replica: Replica, asked: list[str]
) -> None:
    kept, gone = me.task(title="Kept"), me.task(title="Gone")
    elsewhere = me.again()
    with replica.behind():
        asked.clear()
        me.expect(204, "DELETE", f"/tasks/{gone['id']}")
        me.expect(200, "PATCH", f"/tasks/{kept['id']}", json={"title": "Changed"})
        me.task(title="Added")
        there = replica.ask(
            "SELECT array_agg(title ORDER BY id) FROM tasks WHERE user_id = %s", me.user_id
        )
        assert there == ["Kept", "Gone"]
        for person in (me, elsewhere):
            assert _titles(person) == ["Added", "Changed"]
            assert asked[-3:] == [PRIMARY, REPLICA, PRIMARY]
    replica.catch_up()
    assert _titles(me) == ["Added", "Changed"]
    assert asked[-2:] == [PRIMARY, REPLICA]


def test_a_list_never_goes_back_while_the_replica_comes_and_goes(
    me: Api, replica: Replica, asked: list[str]
) -> None:
    made = 0
    for _ in range(8):
        with replica.behind():
            for _ in range(3):
                assert me.expect(200, "GET", LIST)["total"] == made
                me.task()
                made += 1
                assert me.expect(200, "GET", LIST)["total"] == made
        for _ in range(5):
            assert me.expect(200, "GET", LIST)["total"] == made
    assert asked.count(REPLICA) > 8


def test_an_ended_session_reads_nothing_though_it_lives_on_the_replica(
    me: Api, replica: Replica, asked: list[str]
) -> None:
    me.task()
    with replica.behind():
        me.expect(200, "POST", "/auth/logout")
        assert replica.ask(
            "SELECT count(*) FROM sessions WHERE user_id = %s AND revoked_at IS NULL", me.user_id
        )
        asked.clear()
        me.problem(401, "token_invalid", "GET", LIST)
        assert REPLICA not in asked


def test_a_session_that_ends_in_between_reads_nothing(
    me: Api, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends after the primary was asked and before the replica is, which knows of it."""
    from taskapi.db import replicas  # noqa: PLC0415 - what is patched here alone

    me.task()
    replica.catch_up()
    ask_replica = replicas.database.replica_rows

    def ended_first(*statement: Any, **parameters: Any) -> Any:
        monkeypatch.undo()
        me.again().expect(200, "DELETE", "/auth/sessions")
        replica.catch_up()
        return ask_replica(*statement, **parameters)

    monkeypatch.setattr(replicas.database, "replica_rows", ended_first)
    me.problem(401, "token_invalid", "GET", LIST)


def test_a_new_session_reads_though_the_replica_does_not_know_it(me: Api, replica: Replica) -> None:
    me.task(title="Here")
    with replica.behind():
        assert _titles(me.again()) == ["Here"]


def test_a_dead_replica_is_no_outage(me: Api, replica: Replica, asked: list[str]) -> None:
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
    asked.clear()
    assert _titles(me) == ["Here"]
    assert asked == [PRIMARY, REPLICA]


def test_a_replica_that_stands_still_is_waited_for_once(database: tuple[str, Replica]) -> None:
    """By each worker, for half a second; then it is left alone for a while."""
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
