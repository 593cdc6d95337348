"""Database failures: lost connections, locks, an unreachable server, an unexpected schema.

No request hangs, no write is repeated, and no response reveals internals.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg import sql
from support import databases, world
from support.api import PASSWORD, Api
from support.contract import Contract

from config import Settings

SECRET = "not-to-be-seen"
PATIENCE = 20
OF_THE_DATABASE = ("description", "user_id", "INSERT", "SELECT", "tasks", "column", "constraint")


@pytest.fixture
def private(server_url: str, template: str, worker_id: str) -> Iterator[str]:
    """The URL of a database for this test."""
    name = f"private_{worker_id}"
    yield databases.create(server_url, name, template)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _logged(caplog: pytest.LogCaptureFixture, name: str) -> Iterator[None]:
    """Capture a logger, although a worker may have replaced the handlers of the root logger."""
    logger = logging.getLogger(name)
    logger.addHandler(caplog.handler)
    try:
        yield
    finally:
        logger.removeHandler(caplog.handler)


@contextmanager
def _every_connection(app: Flask) -> Iterator[None]:
    """Hold the only connection of the pool while the block runs."""
    pool = app.extensions["taskapi_pool"]
    connection = pool.take()
    try:
        yield
    finally:
        pool.give_back(connection)


def _end_connections(settings: Settings) -> int:
    """Close all other connections to a database, as a restart does; returns their number."""
    ended = world.sql(
        settings,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend'"
        " AND pid <> pg_backend_pid()",
    )
    return len(ended)


def _end_blocked(settings: Settings) -> None:
    world.sql(
        settings,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend'"
        " AND wait_event_type = 'Lock'",
    )


def _unavailable(api: Api, method: str, path: str, **kwargs: Any) -> str:
    """The text of a response that must be 503 with Retry-After."""
    response = api.send(method, path, **kwargs)
    assert response.status_code == 503
    assert response.get_json()["code"] == "unavailable"
    assert int(response.headers["Retry-After"]) >= 1
    return response.get_data(as_text=True)


def test_requests_succeed_after_all_connections_were_closed(
    app: Flask, settings: Settings, user: Api
) -> None:
    task = user.task()
    people = [world.person(app, user.contract, like=user) for _ in range(20)]
    calls = [lambda api=api: api.send("GET", "/tasks") for api in people]
    world.at_once(calls)
    assert _end_connections(settings) > 0
    answers = world.at_once(calls)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert all(answer.get_json()["tasks"] == [task] for answer in answers)


def test_the_first_write_after_all_connections_were_closed_is_performed_once(
    settings: Settings, user: Api
) -> None:
    user.task()
    assert _end_connections(settings) > 0
    assert user.task()["version"] == 2
    assert _end_connections(settings) > 0
    body = {"current_password": PASSWORD, "new_password": "another good one"}
    user.expect(200, "POST", "/auth/password", json=body)
    assert user.expect(200, "GET", "/tasks")["total"] == 2


def test_a_read_whose_connection_breaks_is_repeated(
    app: Flask, settings: Settings, user: Api
) -> None:
    task = user.task()
    person = world.person(app, user.contract, like=user)
    with ThreadPoolExecutor(1) as threads:
        with world.holding(settings, "LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE"):
            waiting = threads.submit(person.send, "GET", "/tasks")
            world.until_blocked(settings, 1)
            _end_blocked(settings)
            world.until_blocked(settings, 1)
        assert waiting.result().get_json()["tasks"] == [task]


def test_a_write_whose_connection_breaks_is_not_repeated(
    app: Flask, settings: Settings, user: Api
) -> None:
    person = world.person(app, user.contract, like=user)
    with (
        ThreadPoolExecutor(1) as threads,
        world.holding(settings, "LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE"),
    ):
        waiting = threads.submit(person.send, "POST", "/tasks", json={"title": "Once"})
        world.until_blocked(settings, 1)
        _end_blocked(settings)
        answer = waiting.result(PATIENCE)
    assert answer.status_code == 503
    assert answer.get_json()["code"] == "outcome_unknown"
    assert user.expect(200, "GET", "/tasks")["total"] == 0


def test_a_read_whose_connections_keep_breaking_returns_503(
    app: Flask, settings: Settings, user: Api
) -> None:
    person = world.person(app, user.contract, like=user)
    with (
        ThreadPoolExecutor(1) as threads,
        world.holding(settings, "LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE"),
    ):
        waiting = threads.submit(_unavailable, person, "GET", "/tasks")
        for _ in range(2):
            world.until_blocked(settings, 1)
            _end_blocked(settings)
        waiting.result(PATIENCE)
    user.expect(200, "GET", "/tasks")


def test_without_a_free_connection_the_response_is_503_with_retry_after(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with world.worker(settings, database_pool_size=1, database_pool_timeout=1) as app:
        person = world.person(app, contract, like=user)
        with _every_connection(app):
            _unavailable(person, "GET", "/tasks")
            _unavailable(person, "POST", "/tasks", json={"title": "Not made"})
            _unavailable(person, "GET", "/readyz")
            person.expect(200, "GET", "/livez")
            person.problem(400, "invalid_input", "POST", "/tasks", json={})
        assert person.expect(200, "GET", "/tasks")["total"] == 0


def test_a_wait_for_a_lock_ends_with_the_timeout_of_the_pool(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with (
        world.worker(settings, database_pool_size=1, database_pool_timeout=1) as app,
        ThreadPoolExecutor(1) as threads,
    ):
        reader = world.person(app, contract, like=user)
        reader.expect(200, "GET", "/tasks")  # the application has verified the session
        with world.holding(
            settings, "SELECT FROM workspaces WHERE id = %s FOR UPDATE", user.user_id
        ):
            waiting = threads.submit(world.person(app, contract, like=user).task)
            world.until_blocked(settings, 1)
            _unavailable(reader, "GET", "/tasks")
        assert waiting.result()["version"] == 1


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:1/taskapi", f"{SECRET}.invalid:5432/taskapi", f"/taskapi?host=/{SECRET}"],
    ids=["refused", "unknown", "no socket"],
)
def test_an_unreachable_database_is_reported_without_its_address(
    settings: Settings, user: Api, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    url = f"postgresql://{SECRET}:password-{SECRET}@{address}"
    with (
        world.worker(settings, database_url=url, database_pool_timeout=1) as app,
        _logged(caplog, "taskapi.pool"),
    ):
        person = world.person(app, user.contract, like=user)
        for call in (("GET", "/tasks"), ("GET", "/readyz")):
            assert SECRET not in _unavailable(person, *call)
        person.expect(200, "GET", "/livez")
        person.expect(200, "GET", "/")
    assert caplog.records
    assert f"password-{SECRET}" not in str([vars(record) for record in caplog.records])


def test_an_empty_database_is_not_ready(
    server_url: str, settings: Settings, contract: Contract, worker_id: str
) -> None:
    url = databases.create(server_url, f"empty_{worker_id}")
    with world.worker(settings, database_url=url) as app:
        person = world.person(app, contract)
        problem = person.problem(503, "not_ready", "GET", "/readyz")
        assert "flask db upgrade" in problem["detail"]
        person.expect(200, "GET", "/livez")


@pytest.mark.parametrize(
    ("revision", "oldest_code", "is_ready"),
    [("0000", "", False), ("9999", "", True), ("9999", "9998", False), ("9999", "Ours", True)],
    ids=["behind", "ahead", "too far ahead", "commented"],
)
def test_a_newer_schema_is_ready_if_it_is_compatible(
    settings: Settings,
    private: str,
    contract: Contract,
    revision: str,
    oldest_code: str,
    is_ready: bool,
) -> None:
    with world.worker(settings, database_url=private) as app:
        person = world.person(app, contract)
        person.expect(200, "GET", "/readyz")
        with psycopg.connect(private, autocommit=True) as connection:
            connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
            connection.execute(f"COMMENT ON TABLE alembic_version IS '{oldest_code}'")
        if is_ready:
            person.expect(200, "GET", "/readyz")
        else:
            person.problem(503, "not_ready", "GET", "/readyz")


@pytest.mark.parametrize("prepare", [False, True], ids=["unprepared", "prepared"])
def test_times_are_utc_in_any_database_time_zone(
    settings: Settings, private: str, contract: Contract, prepare: bool
) -> None:
    with psycopg.connect(private, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        zone = "ALTER DATABASE {} SET timezone = 'Asia/Kathmandu'"
        connection.execute(sql.SQL(zone).format(name))
    with psycopg.connect(private, autocommit=True) as connection:
        now = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI')"
        (before,) = connection.execute(now).fetchone() or ()
        with world.worker(settings, database_url=private, database_prepare=prepare) as app:
            person = world.person(app, contract).registered()
            task = person.task()
            listed = person.expect(200, "GET", "/tasks?sort=updated_at&limit=1")
            (session,) = person.expect(200, "GET", "/auth/sessions")["sessions"]
        (after,) = connection.execute(now).fetchone() or ()
    shown = [task["created_at"], task["updated_at"], listed["tasks"][0]["created_at"]]
    shown += [session["created_at"], person.login["user"]["created_at"]]
    assert all(moment.endswith("Z") and before <= moment <= f"{after}~" for moment in shown)


def test_an_unexpected_error_reveals_nothing_of_the_database(
    settings: Settings, private: str, contract: Contract, caplog: pytest.LogCaptureFixture
) -> None:
    with world.worker(settings, database_url=private) as app:
        person = world.person(app, contract).registered()
        with psycopg.connect(private, autocommit=True) as connection:
            connection.execute("ALTER TABLE tasks ADD CHECK (title <> 'not-to-be-seen')")
            body = {"title": SECRET, "description": SECRET}
            _fails_quietly(person, caplog, "POST", "/tasks", json=body)
            connection.execute("ALTER TABLE tasks RENAME COLUMN title TO secret_title")
        _fails_quietly(person, caplog, "POST", "/tasks", json=body)
        _fails_quietly(person, caplog, "GET", "/tasks")


def _fails_quietly(
    person: Api, caplog: pytest.LogCaptureFixture, method: str, path: str, **kwargs: Any
) -> None:
    caplog.clear()
    with _logged(caplog, "taskapi"):
        response = person.send(method, path, **kwargs)
    assert response.status_code == 500
    problem = response.get_json()
    assert problem["detail"] == "An internal error occurred. Quote the request_id to support."
    assert not [
        word for word in (SECRET, *OF_THE_DATABASE) if word in response.get_data(as_text=True)
    ]
    (failure,) = [record for record in caplog.records if record.name == "taskapi.failure"]
    assert vars(failure)["request_id"] == problem["request_id"]
    assert vars(failure)["sqlstate"] in ("23514", "42703")
    assert SECRET not in str([vars(record) for record in caplog.records])


def test_a_write_to_a_full_database_returns_507(
    settings: Settings, private: str, contract: Contract
) -> None:
    with world.worker(settings, database_url=private) as app:
        person = world.person(app, contract).registered()
        task = person.task()
        with psycopg.connect(private, autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN RAISE EXCEPTION USING ERRCODE = ''disk_full''; END'"
            )
            connection.execute(
                "CREATE TRIGGER full_disk BEFORE INSERT ON tasks EXECUTE FUNCTION refuse()"
            )
        for headers in ({}, {"Idempotency-Key": "one"}):
            answer = person.send("POST", "/tasks", json={"title": "Big"}, headers=headers)
            assert (answer.status_code, answer.get_json()["code"]) == (507, "insufficient_storage")
            assert int(answer.headers["Retry-After"]) >= 1
        assert person.expect(200, "GET", "/tasks")["tasks"] == [task]
