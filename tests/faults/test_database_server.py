"""A killed, hanging, busy or read-only database: no write is lost and no request hangs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier

import httpx
import psycopg
import pytest
from support import databases
from support.place import (
    CREATED,
    SETTLE,
    UNAVAILABLE,
    Figures,
    Place,
    end_connections,
    processes,
    seconds_of,
    signal_all,
    sql,
    until_ended,
)
from support.writers import person, writing

pytestmark = [pytest.mark.faults, pytest.mark.alone]


def test_killing_the_database_loses_no_acknowledged_write(
    place: Place, figures: Figures, anybody: httpx.Client
) -> None:
    with ExitStack() as stack:
        writers = stack.enter_context(writing(place.url))
        time.sleep(SETTLE)
        killed = processes(place.postmaster())
        os.kill(killed[0], signal.SIGKILL)
        until_ended(killed)
        down = time.monotonic()
        time.sleep(SETTLE)
        assert anybody.get(f"{place.url}/livez").status_code == 200
        assert anybody.get(f"{place.url}/readyz").status_code == UNAVAILABLE
        up = time.monotonic()
        # Entered last, so that it runs until the writers have checked their tasks.
        url = stack.enter_context(databases.server(place.folder, is_durable=True))
        assert url.partition("?")[2] == place.database_url.partition("?")[2]
        ready = time.monotonic()
        time.sleep(2 * SETTLE)
        stack.pop_all().close()
    figures.add_writers(writers, back_after=ready)
    assert set(writers.statuses()) <= {CREATED, UNAVAILABLE, 409}
    while_down = [o for o in writers.outcomes() if down < o.sent and o.answered < up]
    assert while_down
    assert all(o.status == UNAVAILABLE and o.has_retry_after for o in while_down)
    assert writers.seconds_until_success(ready) < 2


def test_a_hanging_database_returns_503_in_time(
    place: Place, figures: Figures, anybody: httpx.Client
) -> None:
    lives, readies = [], []
    with writing(place.url) as writers:
        time.sleep(SETTLE)
        frozen = processes(place.postmaster())
        signal_all(frozen, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                lives.append(seconds_of(lambda: anybody.get(f"{place.url}/livez"), 200))
                readies.append(seconds_of(lambda: anybody.get(f"{place.url}/readyz"), UNAVAILABLE))
                time.sleep(0.3)
        finally:
            signal_all(frozen, signal.SIGCONT)
        awake = time.monotonic()
        time.sleep(2 * SETTLE)
    figures.add_writers(writers, back_after=awake)
    figures.add_seconds("slowest /livez", max(lives))
    figures.add_seconds("slowest /readyz", max(readies))
    assert set(writers.statuses()) <= {CREATED, UNAVAILABLE, 409}
    assert max(lives) < 0.1
    assert max(readies) < 3
    assert writers.slowest() < 5
    assert writers.seconds_until_success(awake) < 2


def test_with_all_connections_busy_a_request_is_refused_in_time(
    place: Place, figures: Figures, anybody: httpx.Client
) -> None:
    with (
        person(place.url) as client,
        ThreadPoolExecutor(60) as threads,
        psycopg.connect(place.database_url) as other,
    ):
        other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")

        def ask() -> tuple[httpx.Response, float]:
            begun = time.monotonic()
            return client.get("/tasks"), time.monotonic() - begun

        waiting = [threads.submit(ask) for _ in range(60)]
        assert seconds_of(lambda: anybody.get(f"{place.url}/livez"), 200) < 0.5
        assert seconds_of(lambda: anybody.get(f"{place.url}/docs"), 200) < 0.5
        responses = [one.result(30) for one in waiting]
        figures.add_seconds("slowest of 60", max(seconds for _, seconds in responses))
        for response, seconds in responses:
            assert response.status_code in (UNAVAILABLE, 429)
            assert int(response.headers["Retry-After"]) >= 1
            # The refusal of an account with too many requests is delayed.
            assert seconds < (3 if response.status_code == UNAVAILABLE else 4)
        other.rollback()
        back = seconds_of(lambda: client.get("/tasks"), 200)
        figures.add_seconds("back after", back)
        assert back < 1


def test_a_read_only_database_serves_reads(place: Place) -> None:
    with person(place.url) as client:
        task = client.post("/tasks", json={"title": "Before"}).json()
        _set_read_only(place, "on")
        refused = client.post("/tasks", json={"title": "Not now"})
        assert refused.status_code == UNAVAILABLE
        assert "Retry-After" in refused.headers
        assert client.get(f"/tasks/{task['id']}").json() == task
        _set_read_only(place, "off")
        assert client.post("/tasks", json={"title": "After"}).status_code == CREATED
        assert client.get("/tasks").json()["total"] == 2


def _set_read_only(place: Place, value: str) -> None:
    sql(place.database_url, f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    sql(place.database_url, "SELECT pg_reload_conf()")
    time.sleep(0.3)


def test_requests_succeed_after_all_connections_were_terminated(
    place: Place, figures: Figures
) -> None:
    with person(place.url) as client:
        client.post("/tasks", json={"title": "There"}).raise_for_status()
        calls = [lambda: client.get("/tasks")] * 20
        _at_once(calls)
        ended = end_connections(place.database_url)
        responses = _at_once(calls)
    figures.add("connections ended", ended)
    figures.add("answers", f"{len(responses)} x 200")
    assert ended > 2
    assert [(response.status_code, response.json()["total"]) for response in responses] == [
        (200, 1)
    ] * 20


def _at_once(calls: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """The responses to concurrent requests."""
    start = Barrier(len(calls))

    def run(call: Callable[[], httpx.Response]) -> httpx.Response:
        start.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
