"""What may break, breaks here: nothing that was acknowledged is lost, and nothing is done twice.

The service runs as in production, with two workers, on a PostgreSQL of these tests' own.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest
from support import databases
from support.api import PASSWORD
from support.servers import Service, started
from support.writers import BROKEN, CLIENTS, person, writing

pytestmark = [pytest.mark.faults, pytest.mark.alone]

CREATED, UNAVAILABLE = 201, 503
SETTLE = 1.5


class Place(NamedTuple):
    """The service, and the database's server that it uses."""

    service: Service
    folder: Path
    database_url: str

    @property
    def url(self) -> str:
        return self.service.url

    def postmaster(self) -> int:
        pid_file = self.folder / "postgres" / "postmaster.pid"
        return int(pid_file.read_text().split()[0])


@pytest.fixture
def place(run_folder: Path) -> Iterator[Place]:
    folder = run_folder / f"faults-{os.getpid()}"
    with databases.server(folder, is_durable=True) as server_url:
        name = f"faults_{time.monotonic_ns()}"
        url = databases.create(server_url, name)
        databases.migrate(url)
        with started(url, DATABASE_PREPARE="true") as service:
            yield Place(service, folder, url)


def _processes(parent: int) -> list[int]:
    """A process and those that it has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _is_over(pid: int) -> bool:
    """Whether a process has ended, though its parent may not have asked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _until_ended(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while not all(map(_is_over, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_worker_loses_nothing(place: Place) -> None:
    with writing(place.url) as writers:
        time.sleep(SETTLE)
        os.kill(place.service.workers()[0], signal.SIGKILL)
        killed = time.monotonic()
        time.sleep(2 * SETTLE)
    assert set(writers.statuses()) <= {CREATED, BROKEN, 409}
    assert writers.statuses()[BROKEN] <= CLIENTS
    assert writers.seconds_until_success(killed) < 2


def test_a_killed_database_loses_nothing(place: Place) -> None:
    with ExitStack() as stack:
        writers = stack.enter_context(writing(place.url))
        time.sleep(SETTLE)
        killed = _processes(place.postmaster())
        os.kill(killed[0], signal.SIGKILL)
        _until_ended(killed)
        down = time.monotonic()
        time.sleep(SETTLE)
        assert httpx.get(f"{place.url}/livez").status_code == 200
        assert httpx.get(f"{place.url}/readyz").status_code == UNAVAILABLE
        up = time.monotonic()
        # Entered last, so that it runs until the writers have looked for what they wrote.
        url = stack.enter_context(databases.server(place.folder, is_durable=True))
        assert url.partition("?")[2] == place.database_url.partition("?")[2]
        ready = time.monotonic()
        time.sleep(2 * SETTLE)
        stack.pop_all().close()
    assert set(writers.statuses()) <= {CREATED, UNAVAILABLE, 409}
    while_down = [o for o in writers.outcomes() if down < o.sent and o.answered < up]
    assert while_down
    assert all(o.status == UNAVAILABLE and o.has_retry_after for o in while_down)
    assert writers.seconds_until_success(ready) < 2


def test_a_database_that_stands_still_keeps_nobody_waiting(place: Place) -> None:
    with writing(place.url) as writers:
        time.sleep(SETTLE)
        frozen = _processes(place.postmaster())
        _signal(frozen, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                assert _timed(lambda: httpx.get(f"{place.url}/livez"), 200) < 0.1
                assert _timed(lambda: httpx.get(f"{place.url}/readyz"), UNAVAILABLE) < 3
                time.sleep(0.3)
        finally:
            _signal(frozen, signal.SIGCONT)
        awake = time.monotonic()
        time.sleep(2 * SETTLE)
    assert set(writers.statuses()) <= {CREATED, UNAVAILABLE, 409}
    assert max(o.answered - o.sent for o in writers.outcomes()) < 5
    assert writers.seconds_until_success(awake) < 2


def _timed(call: Callable[[], httpx.Response], status: int) -> float:
    """The seconds that a call takes, which must have this status."""
    begun = time.monotonic()
    assert call().status_code == status
    return time.monotonic() - begun


def test_with_all_connections_busy_the_answer_is_soon_to_come_again(place: Place) -> None:
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
        assert _timed(lambda: httpx.get(f"{place.url}/livez"), 200) < 0.5
        assert _timed(lambda: httpx.get(f"{place.url}/docs"), 200) < 0.5
        for answer, seconds in (one.result(30) for one in waiting):
            assert answer.status_code == UNAVAILABLE
            assert int(answer.headers["Retry-After"]) >= 1
            assert seconds < 3
        other.rollback()
        assert _timed(lambda: client.get("/tasks"), 200) < 1


def test_a_read_only_database_still_reads(place: Place) -> None:
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
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.3)


@pytest.mark.parametrize("workers", ["reloaded", "replaced one by one"])
def test_new_workers_cost_no_request(place: Place, workers: str) -> None:
    with writing(place.url) as writers:
        time.sleep(SETTLE)
        old = place.service.workers()
        if workers == "reloaded":
            place.service.process.send_signal(signal.SIGHUP)
        else:
            for pid in old:
                os.kill(pid, signal.SIGTERM)
                time.sleep(SETTLE)
        time.sleep(2 * SETTLE)
        assert not set(old) & set(place.service.workers())
    assert set(writers.statuses()) == {CREATED}


def test_a_request_in_flight_is_finished_at_the_end(place: Place) -> None:
    with (
        psycopg.connect(place.database_url) as other,
        ThreadPoolExecutor(1) as threads,
        person(place.url) as client,
    ):
        other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        body = {"password": PASSWORD}
        deleting = threads.submit(lambda: client.post("/auth/delete", json=body))
        time.sleep(0.5)
        place.service.process.send_signal(signal.SIGTERM)
        time.sleep(3)
        assert not deleting.done()
        other.rollback()
        assert deleting.result(10).status_code == 204
