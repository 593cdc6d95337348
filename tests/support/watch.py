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
"""Seconds for releasing the resources of disconnected clients, on a busy machine."""

_OLD = "interval '3 seconds'"
"""Longer than any transaction may take."""


class Held(NamedTuple):
    """At one moment; memory is the RSS in MiB, and it and files are of each worker."""

    memory: list[float]
    files: list[int]
    connections: int
    forgotten: int
    """Connections whose transaction has been open for longer than any may be."""

    @property
    def sockets(self) -> int:
        """The files of all workers which are no connections to the database."""
        return sum(self.files) - self.connections


class Watch:
    """Polls the resources; created by `watching`."""

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
        """Of each worker, how much more memory it had in the last third than in the first, in MiB.

        A third is as good as its median: an answer of megabytes comes and goes.
        """
        third = len(self.seen) // 3
        by_worker = list(zip(*(held.memory for held in self.seen), strict=True))
        return [
            statistics.median(one[-third:]) - statistics.median(one[:third]) for one in by_worker
        ]

    def left_behind(self) -> tuple[int, int]:
        """How many transactions are open, and how many advisory locks are held."""
        query = (
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        )
        found = self._database.execute(query).fetchone()
        assert found
        return found[0], found[1]

    def most_connections(self) -> int:
        """How many connections to the database there were at the worst moment."""
        return max(held.connections for held in self.seen)

    def until_sockets(self, most: int) -> Held:
        """The resources once there are at most this many sockets, or after a timeout."""
        deadline = time.monotonic() + _SETTLE
        while (held := self.look()).sockets > most and time.monotonic() < deadline:
            time.sleep(PAUSE)
        return held


@contextmanager
def watching(service: Service, database_url: str) -> Iterator[Watch]:
    """A watcher of the service and its database."""
    with psycopg.connect(database_url, autocommit=True) as database:
        yield Watch(service, database)


@contextmanager
def looking(watch: Watch) -> Iterator[None]:
    """Let it look again and again while the block runs."""
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
