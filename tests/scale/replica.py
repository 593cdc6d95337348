"""A primary and its streaming replica, both the embedded PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
from support import databases
from support.place import processes, signal_all, until_ended

from taskapi.embedded.account import run_as, system_account
from taskapi.embedded.server import binaries

_SECONDS = 20
PORT = 5433
"""Another port than the primary's, whose socket lock is copied with the data."""

_OPTIONS = ("listen_addresses=", "unix_socket_directories=.", f"port={PORT}")


class Replica:
    """A hot standby of a server, which can be stopped, suspended and killed."""

    def __init__(self, primary_url: str, folder: Path) -> None:
        self._primary, self._folder, self._data = primary_url, folder, folder / "replica"
        self._programs = binaries()
        self._account: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the same database."""
        path = urlsplit(self._primary).path
        return f"postgresql://postgres@{path}?host={quote(str(self._data))}&port={PORT}"

    def create(self) -> None:
        """Copy the primary."""
        self._data.mkdir(mode=0o700, parents=True)
        account = system_account()
        if account:
            os.chown(self._data, account.uid, account.gid)
        self._account = run_as(account)
        socket = parse_qs(urlsplit(self._primary).query)["host"][0]
        command: list[str | Path] = [self._programs / "pg_basebackup", "--pgdata", self._data]
        command += ["--host", socket, "--username", "postgres", "--write-recovery-conf"]
        command += ["--checkpoint", "fast"]
        subprocess.run(command, cwd="/", check=True, capture_output=True, **self._account)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command: list[str | Path] = [self._programs / "postgres", "-D", self._data]
        for option in _OPTIONS:
            command += ["-c", option]
        with (self._folder / "replica.log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd="/", stdout=log, stderr=log, **self._account
            )
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                self.ask("SELECT 1")
                return
            time.sleep(0.05)
        raise TimeoutError((self._folder / "replica.log").read_text())

    def stop(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Kill all its processes."""
        assert self._process
        all_of_it = processes(self._process.pid)
        signal_all(all_of_it, signal.SIGKILL)
        until_ended(all_of_it)
        self._process.wait(_SECONDS)
        self._process = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Suspend it while the block runs: it accepts connections and does not respond."""
        assert self._process
        all_of_it = processes(self._process.pid)
        signal_all(all_of_it, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(all_of_it, signal.SIGCONT)

    @contextmanager
    def behind(self) -> Iterator[None]:
        """Pause its replay while the block runs."""
        self.catch_up()
        self.ask("SELECT pg_wal_replay_pause()")
        while self.ask("SELECT pg_get_wal_replay_pause_state()") != "paused":
            time.sleep(0.01)
        try:
            yield
        finally:
            self.ask("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Wait until it has replayed everything that the primary has now."""
        there = _ask(self._primary, "SELECT pg_current_wal_flush_lsn()")
        deadline = time.monotonic() + _SECONDS
        while not self.ask("SELECT pg_last_wal_replay_lsn() >= %s", there):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def ask(self, query: str, *values: Any) -> Any:
        """The only value of a query's result."""
        return _ask(self.url, query, *values)


def _ask(url: str, query: str, *values: Any) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        (found,) = connection.execute(query, values).fetchone() or (None,)
        return found


@contextmanager
def replicated(folder: Path) -> Iterator[tuple[str, Replica]]:
    """The URL of a new, migrated database, and a replica of its server."""
    with databases.server(folder / "primary", is_durable=True) as server_url:
        url = databases.create(server_url, "replicated")
        databases.migrate(url)
        replica = Replica(url, folder)
        replica.create()
        try:
            replica.start()
            yield url, replica
        finally:
            replica.stop()
