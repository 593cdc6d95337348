"""A fair pool of connections to PostgreSQL."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock, Thread
from time import monotonic
from typing import NamedTuple

import psycopg
from psycopg import pq

from taskapi.runtime.connection import Connection

MAX_IDLE_SECONDS = 240
"""Neon and many firewalls drop connections that are idle for five minutes."""

_log = logging.getLogger("taskapi.pool")


class PoolTimeout(psycopg.OperationalError):
    """No connection was free in time."""


class ConnectFailed(psycopg.OperationalError):
    """A connection could not be made; the cause is no error of psycopg's."""


class _Turn:
    """Somebody who waits for a connection, or for the reason why there is none."""

    outcome: Connection | psycopg.Error | None = None

    def __init__(self) -> None:
        self._given = Lock()
        self._given.acquire()

    def give(self, outcome: Connection | psycopg.Error) -> None:
        self.outcome = outcome
        self._given.release()

    def wait(self, seconds: float) -> None:
        self._given.acquire(timeout=seconds)


class Limits(NamedTuple):
    """How large a pool may grow, and how long and how many may wait for it."""

    connections: int
    seconds: float
    waiting: int


class Pool:
    """Connections, each handed to whoever has waited longest.

    A pool that gives a free connection to whoever runs next lets others wait for seconds under
    load. Connections are made in the background, when somebody needs one, so that a database that
    is slow to accept them costs nobody more than the time they may wait.

    Args:
        connect: makes a connection; raises psycopg.Error.
    """

    def __init__(self, connect: Callable[[], Connection], limits: Limits) -> None:
        self._connect = connect
        self.limits = limits
        self._lock = Lock()
        self._idle: deque[Connection] = deque()
        self.waits, self.waited_seconds, self.round_trips = 0, 0.0, 0
        self._waiting: deque[_Turn] = deque()
        self._size = 0
        self._is_closed = False

    def take(self, seconds: float | None = None) -> Connection:
        """A connection that is open, as far as can be seen without asking the server.

        Servers and poolers drop idle connections; nothing has been sent yet, so to take another
        one is safe for reads and writes alike.

        Args:
            seconds: how long to wait for one; None for as long as the pool's limits say.

        Raises:
            PoolTimeout: none was free in time, or too many wait already.
            psycopg.Error: none could be made.
        """
        while True:
            connection = self._next(self.limits.seconds if seconds is None else seconds)
            # What was idle for too long may be cut off without a sign that is_live() sees.
            is_fresh = monotonic() - connection.used_at <= MAX_IDLE_SECONDS
            if is_fresh and connection.is_live():
                return connection
            self.give_back(connection, is_broken=True)

    def give_back(self, connection: Connection, *, is_broken: bool = False) -> None:
        """Hand a connection on; a closed one, or one inside a transaction, is replaced."""
        connection.used_at = now = monotonic()
        is_ready = connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
        if is_broken or connection.is_worn(now) or self._is_closed or not is_ready:
            self._drop(connection)
            return
        with self._lock:
            self.round_trips += connection.round_trips
            connection.round_trips = 0
            if self._waiting:
                self._waiting.popleft().give(connection)
                return
            self._idle.append(connection)
            is_idle_for_long = now - self._idle[0].used_at > MAX_IDLE_SECONDS
            oldest = self._idle.popleft() if is_idle_for_long else None
        if oldest:
            self._drop(oldest)

    @property
    def size(self) -> int:
        """Connections that are open or being made."""
        return self._size

    @property
    def in_use(self) -> int:
        """Those of them that somebody has, or waits for."""
        return self._size - len(self._idle)

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def close(self) -> None:
        """Close what is idle now, and the rest when it is given back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, deque()
        for connection in idle:
            self._drop(connection)

    def _next(self, seconds: float) -> Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if len(self._waiting) >= self.limits.waiting:
                raise PoolTimeout("too many wait for a connection")
            turn = _Turn()
            self._waiting.append(turn)
            grows = self._size < self.limits.connections
            self._size += grows
        if grows:
            self._make()
        began = monotonic()
        try:
            turn.wait(seconds)
        finally:
            with self._lock:
                self.waits += 1
                self.waited_seconds += monotonic() - began
                if turn.outcome is None:
                    self._waiting.remove(turn)
        if turn.outcome is None:
            raise PoolTimeout("no connection was free in time")
        if isinstance(turn.outcome, psycopg.Error):
            raise turn.outcome
        return turn.outcome

    def _make(self) -> None:
        try:
            Thread(target=self._make_now, name="connect", daemon=True).start()
        except RuntimeError as error:  # the system starts no more threads
            self._failed(error)

    def _make_now(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, its place must come free
            self._failed(error)
        else:
            self.give_back(connection)

    def _failed(self, error: Exception) -> None:
        """Report to all waiters that no connection could be made, unless others are in use."""
        # The error's own text has the database's address and user.
        _log.warning("connection_failed", extra={"error": type(error).__name__})
        if not isinstance(error, psycopg.Error):
            error = ConnectFailed(f"no connection could be made: {type(error).__name__}")
        with self._lock:
            self._size -= 1
            while self._waiting and not self._size:
                self._waiting.popleft().give(error)

    def _drop(self, connection: Connection) -> None:
        """Close a connection, and make another when somebody waits for it."""
        connection.close()
        with self._lock:
            is_needed = bool(self._waiting) and not self._is_closed
            self._size -= not is_needed
        if is_needed:
            self._make()
