"""Resources of the service under load: memory, files, database connections, locks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import psycopg
from support.servers import Service

PAUSE = 0.25
_SETTLE = 30.0
"""The seconds in which the service closes abandoned connections on a busy machine."""

_OLD = "interval '3 seconds'"
"""Longer than any transaction may take."""


class Held(NamedTuple):
    """The resources at one moment. Memory (RSS in MiB) and files are of each worker."""

    memory: list[float]
    files: list[int]
    connections: int
    forgotten: int
    """The number of connections whose transaction has been open for too long."""

    @property
    def sockets(self) -> int:
        """The open files of all workers except database connections."""
        return sum(self.files) - self.connections


class Watch:
    """Measures repeatedly; see `watching`."""

    def __init__(self, service: Service, database: psycopg.Connection) -> None:
        self.workers = service.workers()
        self._database = database
        self.seen: list[Held] = []

    def look(self) -> Held:
        """The current resources."""
        query = (
            "SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%'"
            f" AND state_change < clock_timestamp() - {_OLD})"
            " FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'taskapi'"
        )
        found = self._database.execute(query).fetchone()
        assert found
        memory = [_rss(pid) for pid in self.workers]
        return Held(memory, [_files(pid) for pid in self.workers], *found)

    def keep_looking(self, stop: Event) -> None:
        while not stop.wait(PAUSE):
            self.seen.append(self.look())

    def growth(self) -> list[float]:
        """The growth of each worker's memory from the first third to the last, in MiB.

        Compares medians, because large responses cause peaks.
        """
        third = len(self.seen) // 3
        by_worker = list(zip(*(held.memory for held in self.seen), strict=True))
        return [
            statistics.median(one[-third:]) - statistics.median(one[:third]) for one in by_worker
        ]

    def left_behind(self) -> tuple[int, int]:
        """The numbers of open transactions and of advisory locks."""
        query = (
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        )
        found = self._database.execute(query).fetchone()
        assert found
        return found[0], found[1]

    def most_connections(self) -> int:
        """The maximum number of database connections."""
        return max(held.connections for held in self.seen)

    def until_sockets(self, most: int) -> Held:
        """The resources once there are at most this number of sockets, or after a timeout."""
        deadline = time.monotonic() + _SETTLE
        while (held := self.look()).sockets > most and time.monotonic() < deadline:
            time.sleep(PAUSE)
        return held


@contextmanager
def watching(service: Service, database_url: str) -> Iterator[Watch]:
    """A watch of the service and its database."""
    with psycopg.connect(database_url, autocommit=True) as database:
        yield Watch(service, database)


@contextmanager
def looking(watch: Watch) -> Iterator[None]:
    """Measure repeatedly while the block runs."""
    stop = Event()
    thread = Thread(target=watch.keep_looking, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _rss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    raise ValueError("no Rss")


def _files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
