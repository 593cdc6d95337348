"""What requests cost the service while they run: memory of its processes, and long statements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psycopg
from support.servers import Service

_PAUSE = 0.2
_STATEMENTS = """
SELECT pid, coalesce(state <> 'idle', false),
       coalesce(extract(epoch FROM clock_timestamp() - query_start)::float8, 0), left(query, 300)
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'taskapi'
"""


class Costs:
    """The most that was seen of each cost."""

    def __init__(self, service: Service, database: psycopg.Connection) -> None:
        self._service = service
        self._database = database
        self._workers = {pid: _anonymous(pid) for pid in service.workers()}
        self._most_of_workers = dict(self._workers)
        self._backends: dict[int, float] = {}
        self._most_of_backends: dict[int, float] = {}
        self.longest_statement = (0.0, "")
        """Its seconds, and the beginning of its SQL."""

    def look(self) -> int:
        """Look once; how many statements run now."""
        for pid in self._workers:
            self._most_of_workers[pid] = max(self._most_of_workers[pid], _anonymous(pid))
        running = 0
        for pid, is_running, seconds, sql in self._database.execute(_STATEMENTS).fetchall():
            running += is_running
            size = _anonymous(pid)
            self._backends.setdefault(pid, size)
            self._most_of_backends[pid] = max(self._most_of_backends.get(pid, 0), size)
            if is_running:
                self.longest_statement = max(self.longest_statement, (seconds, sql))
        return running

    def keep_looking(self, stop: Event) -> None:
        while not stop.wait(_PAUSE):
            self.look()

    def running_after(self, seconds: float) -> int:
        """How many statements still run; waits at most so long for none."""
        deadline = time.monotonic() + seconds
        while (running := self.look()) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        return running

    @property
    def growth_of_worker(self) -> float:
        """In MiB, of the worker that has grown most."""
        return max(self._most_of_workers[pid] - before for pid, before in self._workers.items())

    @property
    def growth_of_backend(self) -> float:
        """In MiB, of the backend that has grown most over the smallest one's first size."""
        least = min(self._backends.values(), default=0.0)
        return max(self._most_of_backends.values(), default=0.0) - least

    def has_same_workers(self) -> bool:
        """Whether no worker was replaced."""
        return set(self._service.workers()) == set(self._workers)


@contextmanager
def measured(service: Service, database_url: str) -> Iterator[Costs]:
    """The costs of what happens in the block."""
    stop = Event()
    with psycopg.connect(database_url, autocommit=True) as database:
        costs = Costs(service, database)
        costs.look()
        thread = Thread(target=costs.keep_looking, args=[stop])
        thread.start()
        try:
            yield costs
        finally:
            stop.set()
            thread.join()


def _anonymous(pid: int) -> float:
    """The memory of a process that it shares with no file, in MiB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Anonymous:"))
