"""The requests of one account wait for each other, and no others wait for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from support.api import Api
from support.contract import Contract
from support.world import holding, person, sql, until_blocked, worker

from config import Settings
from taskapi.http import admission

CONNECTIONS = 4
WRITES = CONNECTIONS // 4
REVOKE_LAST = """
    UPDATE sessions SET revoked_at = now()
    WHERE id = (SELECT max(id) FROM sessions WHERE user_id = %s)
"""
LOCK = "SELECT FROM workspaces WHERE id = %s FOR UPDATE"


@pytest.fixture(autouse=True)
def _fast_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def small(settings: Settings) -> Iterator[Flask]:
    """An application with few connections."""
    limits = {"database_pool_size": CONNECTIONS, "database_pool_timeout": 1.0}
    with worker(settings, **limits, ratelimit_enabled=True) as app:
        yield app


@pytest.fixture
def author(small: Flask, contract: Contract, user: Api) -> Api:
    """A client whose session the application has verified."""
    api = person(small, contract, like=user)
    api.expect(200, "GET", "/tasks")
    return api


def _rename(author: Api, task: dict[str, Any]) -> tuple[int, str | None]:
    response = author.send("PATCH", f"/tasks/{task['id']}", json={"title": "Renamed"})
    code = response.get_json().get("code")
    assert code is None or "Retry-After" in response.headers
    return response.status_code, code


def test_writers_to_one_workspace_leave_connections_to_others(
    small: Flask, settings: Settings, contract: Contract, author: Api, stranger: Api
) -> None:
    task = author.task()
    other = person(small, contract, like=stranger)
    with ThreadPoolExecutor(12) as threads:
        with holding(settings, LOCK, author.user_id):
            renamed = [threads.submit(_rename, author, task) for _ in range(12)]
            until_blocked(settings, WRITES)
            assert small.extensions["taskapi_pool"].in_use == WRITES
            other.task()
            other.expect(200, "GET", "/tasks")
            author.expect(200, "GET", "/tasks")
        assert {found.result() for found in renamed} == {(200, None)}


def test_a_request_that_waits_too_long_for_its_turn_returns_429(
    settings: Settings, author: Api
) -> None:
    task = author.task()
    with ThreadPoolExecutor(3) as threads:
        with holding(settings, LOCK, author.user_id):
            first = threads.submit(_rename, author, task)
            until_blocked(settings, WRITES)
            second = threads.submit(_rename, author, task)
            assert second.result() == (429, "too_many_concurrent_requests")
        assert first.result() == (200, None)
    assert _rename(author, task) == (200, None)


def test_requests_in_progress_are_limited(
    settings: Settings, author: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_OF_ACCOUNT", 2)
    task = author.task()
    with ThreadPoolExecutor(3) as threads:
        with holding(settings, LOCK, author.user_id):
            admitted = [threads.submit(_rename, author, task) for _ in range(2)]
            until_blocked(settings, WRITES)
            while author.send("GET", "/tasks").status_code == 200:
                time.sleep(0.01)
            author.problem(429, "too_many_concurrent_requests", "GET", "/tasks")
        assert {found.result() for found in admitted} == {(200, None)}
    author.expect(200, "GET", "/tasks")


def test_the_rate_of_requests_is_limited(
    small: Flask,
    contract: Contract,
    author: Api,
    stranger: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "RATE", 1)
    monkeypatch.setattr(admission, "BURST", 5)
    statuses = [author.send("GET", "/tasks").status_code for _ in range(10)]
    assert set(statuses[:4]) == {200}
    assert statuses[-1] == 429
    author.problem(429, "rate_limited", "GET", "/tasks")
    person(small, contract, like=stranger).expect(200, "GET", "/tasks")


def test_a_session_counts_towards_itself_until_it_is_verified(
    small: Flask,
    settings: Settings,
    contract: Contract,
    author: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "MAX_OF_ACCOUNT", 1)
    task = author.task()
    new, revoked = author.again(), author.again()
    sql(settings, REVOKE_LAST, author.user_id)
    monkeypatch.setattr(admission, "MAX_OF_NETWORK", 0)
    with ThreadPoolExecutor(1) as threads:
        with holding(settings, LOCK, author.user_id):
            renamed = threads.submit(_rename, author, task)
            until_blocked(settings, WRITES)
            revoked.problem(401, "session_ended", "GET", "/tasks")
            new.expect(200, "GET", "/tasks")
            new.problem(429, "too_many_concurrent_requests", "GET", "/tasks")
        assert renamed.result() == (200, None)
    revoked.problem(401, "session_ended", "GET", "/tasks")


def test_health_checks_are_never_limited(
    small: Flask, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_OF_NETWORK", 0)
    api = person(small, contract)
    api.expect(200, "GET", "/readyz")
    credentials = {"email": "nobody@example.com", "password": "correct horse battery"}
    api.problem(429, "too_many_concurrent_requests", "POST", "/auth/login", json=credentials)


def test_many_refusals_at_a_time_wait_longer(
    small: Flask, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "REFUSALS_PER_SECOND", 0.5)
    api = person(small, contract)
    pauses: list[float] = []

    def refuse_more(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) < 3:
            api.problem(401, "authentication_required", "GET", "/tasks")

    monkeypatch.setattr(admission, "sleep", refuse_more)
    api.problem(401, "authentication_required", "GET", "/tasks")
    assert pauses == []
    monkeypatch.setattr(admission, "MAX_OF_NETWORK", 0)
    credentials = {"email": "nobody@example.com", "password": "correct horse battery"}
    api.problem(429, "too_many_concurrent_requests", "POST", "/auth/login", json=credentials)
    assert [round(pause / 2) for pause in pauses] == [1, 2, 3]


def test_many_invalid_requests_at_a_time_wait_longer(
    author: Api, stranger: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "REFUSALS_PER_SECOND", 0.5)
    pauses: list[float] = []
    monkeypatch.setattr(admission, "sleep", pauses.append)
    for _ in range(4):
        author.problem(400, "invalid_input", "GET", "/tasks?filter=(")
        author.problem(
            400, "malformed_body", "POST", "/tasks", data="{", content_type="application/json"
        )
    author.expect(200, "GET", "/tasks")
    person(author.client.application, author.contract, like=stranger).problem(
        400, "invalid_input", "GET", "/tasks?filter=("
    )
    assert [round(pause / 2) for pause in pauses] == [1, 2, 3, 4, 5, 5, 5]


def test_what_waits_for_its_turn_is_a_429(settings: Settings, author: Api, stranger: Api) -> None:
    """A read that waits for the database takes no turn from writes, nor from other accounts."""
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        with holding(settings, "LOCK TABLE saved_filters"):
            waiting = [
                threads.submit(author.send, "GET", "/filters") for _ in range(CONNECTIONS // 2)
            ]
            until_blocked(settings, CONNECTIONS // 2)
            author.problem(429, "too_many_concurrent_requests", "GET", "/tasks")
            author.task()
            person(author.client.application, author.contract, like=stranger).task()
        assert {found.result().status_code for found in waiting} == {200}
