"""The service as in production with its database server, and operations on them."""

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
"""The seconds until the writers have started."""


class Place(NamedTuple):
    """The service and its database server."""

    service: Service
    folder: Path
    database_url: str

    @property
    def url(self) -> str:
        return self.service.url

    def postmaster(self) -> int:
        """The process ID of the database server's main process."""
        pid_file = self.folder / "postgres" / "postmaster.pid"
        return int(pid_file.read_text().split()[0])


class Figures:
    """The measurements of a test, for its line in the summary."""

    def __init__(self, add: Callable[[str, object], None]) -> None:
        self.add = add

    def add_seconds(self, name: str, seconds: float) -> None:
        self.add(name, f"{seconds:.2f} s")

    def add_writers(self, writers: Writers, *, back_after: float | None = None) -> None:
        """Add the results of the writers.

        Args:
            back_after: the time after which writes should succeed again.
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
    """The URL of a new, migrated database on a new server with its data in this directory."""
    with databases.server(folder, is_durable=True) as server_url:
        url = databases.create(server_url, f"faults_{time.monotonic_ns()}")
        databases.migrate(url)
        yield url


def sql(database_url: str, statement: str) -> list[tuple[object, ...]]:
    """The rows of a statement that is sent directly to the database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def end_connections(database_url: str) -> int:
    """Close all connections to a database, as a failover does. Returns their number."""
    ended = sql(
        database_url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend'"
        " AND pid <> pg_backend_pid()",
    )
    return len(ended)


def seconds_of(call: Callable[[], httpx.Response], status: int) -> float:
    """The seconds that a request takes, whose response must have this status."""
    begun = time.monotonic()
    answer = call()
    seconds = time.monotonic() - begun
    assert answer.status_code == status, answer.text
    return seconds


def processes(parent: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def until_ended(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while not all(map(_is_over, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_over(pid: int) -> bool:
    """Whether a process has ended, even if its parent has not waited for it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
