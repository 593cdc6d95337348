"""The service as in production and its database server, for tests of failures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
from support import databases
from support.servers import Service
from support.writers import Writers

CREATED, UNAVAILABLE = 201, 503
SETTLE = 1.5
"""Seconds in which the writers get going."""


class Place(NamedTuple):
    """The service, and the database's server that it uses."""

    service: Service
    folder: Path
    database_url: str

    @property
    def url(self) -> str:
        return self.service.url

    def postmaster(self) -> int:
        """The number of the database server's first process."""
        pid_file = self.folder / "postgres" / "postmaster.pid"
        return int(pid_file.read_text().split()[0])


class Figures:
    """The measurements of a test, for the summary."""

    def __init__(self, add: Callable[[str, object], None]) -> None:
        self.add = add

    def add_seconds(self, name: str, seconds: float) -> None:
        self.add(name, f"{seconds:.2f} s")

    def add_writers(self, writers: Writers, *, back_after: float | None = None) -> None:
        """The results of the writers.

        Args:
            back_after: the moment from which on all should be well again.
        """
        statuses = writers.statuses()
        self.add("written and found", sum(len(writer.acknowledged) for writer in writers))
        refused = [f"{n} x {status or 'broken'}" for status, n in sorted(statuses.items())]
        self.add("answers", ", ".join(refused))
        self.add_seconds("slowest", writers.slowest())
        if back_after is not None:
            self.add_seconds("back after", writers.seconds_until_success(back_after))


@contextmanager
def new_database(folder: Path) -> Iterator[str]:
    """The URL of a new, migrated database, on a server of its own with its data in this folder."""
    with databases.server(folder, is_durable=True) as server_url:
        url = databases.create(server_url, f"faults_{time.monotonic_ns()}")
        databases.migrate(url)
        yield url


def sql(database_url: str, statement: str) -> list[tuple[object, ...]]:
    """The rows that a statement gives, past the service and whatever stands before the database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def end_connections(database_url: str) -> int:
    """End all connections to a database, as a restart or a failover does; how many they were."""
    ended = sql(
        database_url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend'"
        " AND pid <> pg_backend_pid()",
    )
    return len(ended)


def seconds_of(call: Callable[[], httpx.Response], status: int) -> float:
    """The duration in seconds of a request, which must have this status."""
    begun = time.monotonic()
    answer = call()
    seconds = time.monotonic() - begun
    assert answer.status_code == status, answer.text
    return seconds


def processes(parent: int) -> list[int]:
    """A process and those that it has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def until_ended(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while not all(map(_has_ended, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _has_ended(pid: int) -> bool:
    """Whether a process has ended, including zombies."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
