"""A pool of connections to PostgreSQL; `docs/decisions/0002-one-pool.md` says why it is our own."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from threading import Lock, Thread
from time import monotonic, perf_counter
from typing import NamedTuple

import psycopg

from taskapi.db.concurrency import ConcurrencyLimits, Share, Waiter
from taskapi.runtime.connection import MAX_PREPARED, Connection

MAX_IDLE_SECONDS = 240
"""Neon and many firewalls drop connections that are idle for five minutes."""

MAX_AGE_SECONDS = 1_800
"""A connection is replaced at this age at the latest, which bounds the memory of its backend."""

_holds_connection: ContextVar[bool] = ContextVar("holds_connection", default=False)

_log = logging.getLogger("taskapi.pool")


class PoolTimeout(psycopg.OperationalError):
    """No connection became available in time."""


class ConnectFailed(psycopg.OperationalError):
    """A connection could not be opened, for a reason that is no error of psycopg's."""


class Limits(NamedTuple):
    """How large a pool may grow, and how long and how many requests may wait for a connection."""

    connections: int
    seconds: float
    waiting: int


class Pool:
    """Connections in autocommit, each handed to the request that has waited longest.

    They are opened in the background when needed, so that a slow database delays a request by no
    more than the longest wait.

    Args:
        url: of the database.
        kind: the class of the connections.
        limits: of the pool.
        prepares: whether statements are prepared.
    """

    def __init__(self, url: str, kind: type[Connection], limits: Limits, *, prepares: bool) -> None:
        self.connection_class = kind
        self.limits = limits
        self.concurrency = ConcurrencyLimits(limits.connections, limits.seconds)
        self.waits, self.waited_seconds, self.round_trips = 0, 0.0, 0
        self.trace: Callable[[bytes], AbstractContextManager[object]] | None = None
        """As `Connection.trace`, for connections that are opened later."""

        self._url = url
        self._prepares = prepares
        self._lock = Lock()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[Waiter[Connection | psycopg.Error]] = deque()
        self._size = 0
        self._is_closed = False

    def take(self, seconds: float | None = None) -> Connection:
        """Return a connection that is open, as far as can be seen without a round trip.

        Servers and poolers drop idle connections. Nothing was sent yet, so to take another one is
        safe for reads and writes alike.

        Args:
            seconds: how long to wait for one; None for the pool's limit.

        Raises:
            PoolTimeout: none became available in time, or too many requests wait.
            psycopg.Error: none could be opened.
        """
        while True:
            connection = self._next(self.limits.seconds if seconds is None else seconds)
            # A firewall may drop an idle connection without a sign that is_live() sees.
            is_fresh = monotonic() - connection.used_at <= MAX_IDLE_SECONDS
            if is_fresh and connection.is_live():
                return connection
            self._drop(connection)

    def give_back(self, connection: Connection) -> None:
        """Return a connection; one that is closed, in a transaction, old or worn is replaced."""
        connection.used_at = now = monotonic()
        is_worn = now > connection.expires_at or connection.prepared >= MAX_PREPARED
        if is_worn or self._is_closed or not connection.is_ready:
            self._drop(connection)
            return
        with self._lock:
            self.round_trips += connection.round_trips
            connection.round_trips = 0
            if self._waiting:
                self._waiting.popleft().set(connection)
                return
            self._idle.append(connection)
            is_oldest_stale = now - self._idle[0].used_at > MAX_IDLE_SECONDS
            oldest = self._idle.popleft() if is_oldest_stale else None
        if oldest:
            self._drop(oldest)

    @property
    def size(self) -> int:
        """Connections that are open or being opened."""
        return self._size

    @property
    def in_use(self) -> int:
        """Connections that a request has, or waits for."""
        return self._size - len(self._idle)

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return len(self._waiting)

    def close(self) -> None:
        """Close the idle connections now, and the others when they are given back."""
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
                raise PoolTimeout("too many requests are waiting for a connection")
            waiter = Waiter[Connection | psycopg.Error]()
            self._waiting.append(waiter)
            grows = self._size < self.limits.connections
            self._size += grows
        if grows:
            self._open()
        began = monotonic()
        try:
            waiter.wait(seconds)
        finally:
            with self._lock:
                self.waits += 1
                self.waited_seconds += monotonic() - began
                if waiter.outcome is None:
                    self._waiting.remove(waiter)
        if waiter.outcome is None:
            raise PoolTimeout("no connection became available in time")
        if isinstance(waiter.outcome, psycopg.Error):
            raise waiter.outcome
        return waiter.outcome

    def _open(self) -> None:
        """Open a connection in the background, for whoever waits longest."""
        try:
            Thread(target=self._open_now, name="connect", daemon=True).start()
        except RuntimeError as error:  # the system starts no more threads
            self._failed(error)

    def _open_now(self) -> None:
        opened: Connection | BaseException = ConnectFailed("no connection could be opened")
        try:
            opened = self._connect()
        except (psycopg.Error, OSError) as error:
            opened = error
        finally:  # whatever happens, its place must come free
            if isinstance(opened, Connection):
                self.give_back(opened)
            else:
                self._failed(opened)

    def _connect(self) -> Connection:
        connection = self.connection_class.connect(
            self._url,
            autocommit=True,
            application_name="taskapi",
            connect_timeout=10,
            keepalives_idle=30,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=15_000,
        )
        # Connection.run() prepares by itself.
        connection.prepare_threshold = None
        connection.prepares = self._prepares
        connection.trace = self.trace
        # Connections that were opened together are replaced at different times.
        age = random.SystemRandom().uniform(0.8, 1) * MAX_AGE_SECONDS
        connection.expires_at = monotonic() + age
        return connection

    def _failed(self, error: BaseException) -> None:
        """Report to all waiters that no connection could be opened, unless others are in use."""
        # The error's own text has the database's address and user.
        _log.warning("connection_failed", extra={"error": type(error).__name__})
        if not isinstance(error, psycopg.Error):
            error = ConnectFailed(f"no connection could be opened: {type(error).__name__}")
        with self._lock:
            self._size -= 1
            while self._waiting and not self._size:
                self._waiting.popleft().set(error)

    def _drop(self, connection: Connection) -> None:
        """Close a connection, and open another if a request waits for one."""
        connection.close()
        with self._lock:
            is_needed = bool(self._waiting) and not self._is_closed
            self._size -= not is_needed
        if is_needed:
            self._open()


class Taken(AbstractContextManager[Connection]):
    """A connection for a block, within the limits of what the request counts towards.

    A generator would cost each request 3 µs more.

    Args:
        until: when the wait for it must end, by `perf_counter`.
        writes: whether it is taken for a write.

    Raises:
        RuntimeError: the request has a connection already. Requests that hold one and wait for a
            second would wait for each other.
        TooManyConcurrentRequests: as `ConcurrencyLimits.slot` and `Share.raise_if_congested`.
        PoolTimeout, psycopg.Error: as `Pool.take`.
    """

    __slots__ = ("_connection", "_pool", "_share", "_slot", "_token", "_until")

    def __init__(self, pool: Pool, share: Share | None, until: float, *, writes: bool) -> None:
        if _holds_connection.get():
            raise RuntimeError("a request that holds a connection must not wait for another")
        self._pool, self._share, self._until = pool, share, until
        self._slot = pool.concurrency.slot(share, writes=writes)

    def __enter__(self) -> Connection:
        self._slot.__enter__()
        try:
            if self._share:
                self._share.raise_if_congested()
            seconds = min(seconds_left(self._until), self._pool.limits.seconds)
            self._connection = self._pool.take(seconds)
        except BaseException:
            self._slot.__exit__(None, None, None)
            raise
        self._token = _holds_connection.set(True)
        return self._connection

    def __exit__(self, *_: object) -> None:
        _holds_connection.reset(self._token)
        try:
            self._pool.give_back(self._connection)
        finally:
            self._slot.__exit__(None, None, None)


def seconds_left(until: float) -> float:
    """The remaining seconds; never zero, which would mean no limit."""
    return max(0.01, until - perf_counter())
