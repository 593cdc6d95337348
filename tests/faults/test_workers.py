"""Killed, replaced and stopped workers: no write is lost, and almost no request fails."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest
from support.place import CREATED, SETTLE, Figures, Place, new_database
from support.servers import started
from support.writers import BROKEN, CLIENTS, person, writing

pytestmark = [pytest.mark.faults, pytest.mark.alone]


def test_killing_a_worker_loses_no_acknowledged_write(place: Place, figures: Figures) -> None:
    with writing(place.url) as writers:
        time.sleep(SETTLE)
        os.kill(place.service.workers()[0], signal.SIGKILL)
        killed = time.monotonic()
        time.sleep(2 * SETTLE)
    figures.add_writers(writers, back_after=killed)
    assert set(writers.statuses()) <= {CREATED, BROKEN, 409}
    assert writers.statuses()[BROKEN] <= CLIENTS
    assert writers.seconds_until_success(killed) < 2


@pytest.mark.parametrize("workers", ["reloaded", "replaced one by one"])
def test_replacing_workers_fails_no_request(place: Place, figures: Figures, workers: str) -> None:
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
    figures.add_writers(writers)
    assert set(writers.statuses()) == {CREATED}


def test_max_requests_fails_no_request(faults_folder: Path, figures: Figures) -> None:
    options = "--max-requests 80 --max-requests-jitter 40"
    with (
        new_database(faults_folder) as url,
        started(url, DATABASE_PREPARE="true", GUNICORN_CMD_ARGS=options) as service,
        writing(service.url) as writers,
    ):
        first = seen = set(service.workers())
        deadline = time.monotonic() + 6 * SETTLE
        while time.monotonic() < deadline:
            seen = seen | set(service.workers())
            time.sleep(0.05)
        assert not first & set(service.workers())
    figures.add_writers(writers)
    figures.add("workers", len(seen))
    assert set(writers.statuses()) == {CREATED}


def test_a_just_accepted_connection_is_served_before_the_worker_stops(place: Place) -> None:
    address = ("127.0.0.1", httpx.URL(place.url).port)
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(8)]
        time.sleep(0.1)
        place.service.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        for client in clients:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
        for client in clients:
            response = b"".join(iter(lambda client=client: client.recv(65_536), b""))
            assert response.startswith(b"HTTP/1.1 200")
            assert b"\r\nConnection: close\r\n" in response


def test_a_request_in_progress_is_completed_at_shutdown(place: Place, figures: Figures) -> None:
    with (
        psycopg.connect(place.database_url) as other,
        ThreadPoolExecutor(1) as threads,
        person(place.url) as client,
    ):
        other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        creating = threads.submit(lambda: client.post("/tasks", json={"title": "In progress"}))
        time.sleep(0.5)
        place.service.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert not creating.done()
        other.rollback()
        assert creating.result(10).status_code == CREATED
        figures.add_seconds("in flight for", time.monotonic() - begun)
