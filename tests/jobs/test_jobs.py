"""Jobs: queued by transactions, run by workers, repeated after failures."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from support import databases, jobs
from support.jobs import lines, rows, until, working
from support.servers import ROOT

from taskapi import create_app
from taskapi.db import database
from taskapi.jobs.queue import PAUSES, queue
from taskapi.jobs.wakeup import address_of
from taskapi.jobs.worker import run

pytestmark = pytest.mark.processes

JOBS_IN_TURN = 15
SOON = 10

_FROM_OURS = "FROM procrastinate_jobs WHERE starts_with(task_name, 'test')"
"""Not the daily purge, which a worker queues itself."""


def _jobs(url: str) -> list[tuple[Any, ...]]:
    return rows(
        url,
        f"SELECT status::text, attempts {_FROM_OURS} ORDER BY id",
    )


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in the main thread if the block takes longer."""

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_job_runs_and_is_gone(url: str, queueing: Flask, file: Path) -> None:
    jobs.append.defer(file=str(file), line="done")
    with working(url) as worker:
        until(lambda: lines(file) == ["done"])
        until(lambda: _jobs(url) == [])
        assert worker.stop() == 0


def test_a_job_exists_exactly_if_its_transaction_was_committed(
    url: str, queueing: Flask, file: Path
) -> None:
    with suppress(ZeroDivisionError), database.transaction():
        jobs.append.defer(file=str(file), line="rolled back")
        raise ZeroDivisionError
    assert _jobs(url) == []
    with database.transaction():
        jobs.append.defer(file=str(file), line="committed")
        assert _jobs(url) == []
    assert _jobs(url) == [("todo", 0)]


def test_arguments_are_those_of_the_handler(url: str, queueing: Flask) -> None:
    defer: Any = jobs.append.defer
    with pytest.raises(TypeError):
        defer(file="a", lines="b")
    assert _jobs(url) == []


def test_a_job_starts_at_once_on_the_same_machine(url: str, queueing: Flask, file: Path) -> None:
    with working(url, JOBS_POLL_SECONDS="3600"):
        until(lambda: rows(url, "SELECT 1 FROM procrastinate_workers"))
        jobs.append.defer(file=str(file), line="done")
        until(lambda: lines(file) == ["done"])


def test_a_job_starts_at_once_while_the_worker_looks_for_jobs(
    url: str, queueing: Flask, file: Path
) -> None:
    """Each is queued when the previous one has begun. Then the worker looks for another one."""
    with working(url, JOBS_POLL_SECONDS="3600"):
        until(lambda: rows(url, "SELECT 1 FROM procrastinate_workers"))
        for number in range(1, JOBS_IN_TURN + 1):
            jobs.append.defer(file=str(file), line="done")
            until(lambda number=number: len(lines(file)) == number, pause=0)


def test_a_job_that_another_machine_queued_is_found(url: str, file: Path) -> None:
    with working(url, JOBS_POLL_SECONDS="1"):
        # An application that takes the worker to be elsewhere, because its URL is another.
        app = create_app(databases.settings_for(f"{url}&application_name=elsewhere"))
        with app.app_context():
            jobs.append.defer(file=str(file), line="done")
        app.extensions["taskapi_pool"].close()
        until(lambda: lines(file) == ["done"])


def test_a_job_can_queue_another(url: str, queueing: Flask, file: Path) -> None:
    jobs.chain.defer(file=str(file))
    with working(url):
        until(lambda: lines(file) == ["chained"])


def test_a_job_that_fails_is_repeated_after_a_pause(url: str, queueing: Flask, file: Path) -> None:
    jobs.fail_once.defer(file=str(file))
    with working(url, JOBS_POLL_SECONDS="1") as worker:
        until(lambda: _jobs(url) == [("todo", 1)])
        pause = f"SELECT extract(epoch FROM scheduled_at - now())::int {_FROM_OURS}"
        assert PAUSES[0] / 2 < rows(url, pause)[0][0] <= PAUSES[0] * 1.2
        rows(url, "UPDATE procrastinate_jobs SET scheduled_at = now()")
        until(lambda: _jobs(url) == [])
        worker.stop()
        log = worker.log.read_text()
    assert lines(file) == ["attempt", "attempt"]
    assert '"error":"RuntimeError"' in log
    assert "secret" not in log


def test_a_job_stays_failed_after_its_last_attempt(url: str, queueing: Flask, file: Path) -> None:
    jobs.fail_once.defer(file=str(file))
    rows(url, f"UPDATE procrastinate_jobs SET attempts = {len(PAUSES)}")
    with working(url):
        until(lambda: _jobs(url) == [("failed", len(PAUSES) + 1)])
    assert lines(file) == ["attempt"]


def test_a_job_that_rejects_itself_is_not_repeated(url: str, queueing: Flask, file: Path) -> None:
    jobs.reject.defer(file=str(file))
    with working(url) as worker:
        until(lambda: _jobs(url) == [("failed", 1)])
        worker.stop()
        assert "secret" not in worker.log.read_text()


def test_workers_share_the_jobs(url: str, queueing: Flask, file: Path) -> None:
    with database.transaction():
        for number in range(200):
            jobs.append.defer(file=str(file), line=str(number))
    with working(url), working(url), working(url):
        until(lambda: _jobs(url) == [])
    assert sorted(map(int, lines(file))) == list(range(200))


def test_a_killed_worker_loses_no_job(url: str, queueing: Flask, file: Path) -> None:
    jobs.slow.defer(file=str(file), seconds=3600)
    with working(url) as worker:
        until(lambda: lines(file) == ["begins"])
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
    assert _jobs(url) == [("doing", 0)]
    # It has been dead for long.
    rows(url, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
    with working(url):
        until(lambda: lines(file) == ["begins", "begins"])
    assert _jobs(url) == [("doing", 1)]


def test_a_job_that_kills_its_workers_fails_in_the_end(
    url: str, queueing: Flask, file: Path
) -> None:
    jobs.append.defer(file=str(file), line="done")
    # Its last worker is dead.
    rows(url, f"UPDATE procrastinate_jobs SET status = 'doing', attempts = {len(PAUSES)}")
    with working(url):
        until(lambda: _jobs(url) == [("failed", len(PAUSES) + 1)])
    assert lines(file) == []


def test_a_job_of_another_release_is_repeated(url: str, queueing: Flask, file: Path) -> None:
    jobs.append.defer(file=str(file), line="done")
    rows(url, "UPDATE procrastinate_jobs SET task_name = 'test_of_the_future'")
    with working(url) as worker:
        until(lambda: _jobs(url) == [("todo", 1)])
        assert worker.stop() == 0
        assert "job_unknown" in worker.log.read_text()


def test_a_job_is_not_taken_from_a_worker_that_runs(url: str, queueing: Flask, file: Path) -> None:
    jobs.slow.defer(file=str(file), seconds=5)
    with working(url):
        until(lambda: lines(file) == ["begins"])
        with working(url):
            until(lambda: _jobs(url) == [])
    assert lines(file) == ["begins", "ends"]


def test_a_worker_that_ends_completes_its_jobs(url: str, queueing: Flask, file: Path) -> None:
    jobs.slow.defer(file=str(file), seconds=2)
    with working(url) as worker:
        until(lambda: lines(file) == ["begins"])
        assert worker.stop() == 0
    assert lines(file) == ["begins", "ends"]
    assert _jobs(url) == []


@pytest.mark.parametrize("steps", range(12))
def test_a_signal_that_arrives_with_a_connection_ends_the_worker(
    url: str, queueing: Flask, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """So many steps of the event loop are between the signal and the connection.

    Before Python 3.12, a cancellation of the worker is lost after some numbers of steps.
    """
    connect = psycopg.AsyncConnection.connect

    async def connect_and_signal(*args: Any, **options: Any) -> psycopg.AsyncConnection[Any]:
        connection = await connect(*args, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(steps):
            await asyncio.sleep(0)
        return connection

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect_and_signal)
    with _alarm(SOON):
        run(queueing, databases.settings_for(url))


def test_a_worker_survives_lost_connections(url: str, queueing: Flask, file: Path) -> None:
    with working(url, JOBS_POLL_SECONDS="1") as worker:
        until(lambda: rows(url, "SELECT 1 FROM procrastinate_workers"))
        rows(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()",
        )
        jobs.append.defer(file=str(file), line="done")
        until(lambda: lines(file) == ["done"])
        assert worker.stop() == 0


def test_signals_of_strangers_start_nothing(url: str, queueing: Flask, file: Path) -> None:
    with working(url, JOBS_POLL_SECONDS="3600") as worker:
        until(lambda: rows(url, "SELECT 1 FROM procrastinate_workers"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            for content in (b"", b"{}", b"x" * 10_000):
                for _ in range(100):
                    with suppress(BlockingIOError):
                        stranger.setblocking(False)
                        stranger.sendto(content, address_of(databases.settings_for(url)))
        jobs.append.defer(file=str(file), line="done")
        until(lambda: lines(file) == ["done"])
        assert worker.stop() == 0


def test_the_schema_is_that_of_the_installed_library() -> None:
    ours = (ROOT / "migrations" / "procrastinate_3_10_0.sql").read_text()
    assert ours.endswith(queue.schema_manager.get_schema())
