"""A pool of connections to PostgreSQL: psycopg's own, with what a restart of the server needs."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any, NamedTuple, Self

from psycopg_pool import ConnectionPool

from taskapi.db.concurrency import ConcurrencyLimits
from taskapi.runtime.connection import MAX_PREPARED, Connection

MAX_IDLE_SECONDS = 240
"""Neon and many firewalls drop connections that are idle for five minutes."""

MAX_AGE_SECONDS = 1_800
"""A connection is replaced at this age, which bounds the memory of its backend."""

_CONNECT = {
    "autocommit": True,
    "application_name": "taskapi",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

_log = logging.getLogger("taskapi.pool")


class Limits(NamedTuple):
    """How large a pool may grow, and how long and how many may wait for it."""

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
        def configure(connection: Connection) -> None:
            # Connection.run() prepares by itself.
            connection.prepare_threshold = None
            connection.prepares = prepares

        self.limits = limits
        self.concurrency = ConcurrencyLimits(limits.connections, limits.seconds)
        self.round_trips = 0
        self._pool = ConnectionPool(
            url,
            connection_class=_reporting(kind),
            kwargs=_CONNECT,
            configure=configure,
            min_size=0,
            max_size=limits.connections,
            max_waiting=limits.waiting,
            max_idle=MAX_IDLE_SECONDS,
            max_lifetime=MAX_AGE_SECONDS,
            reconnect_timeout=limits.seconds,
            open=False,
        )

    @property
    def connection_class(self) -> type[Connection]:
        """The class of the connections that are opened from now on."""
        return self._pool.connection_class

    @connection_class.setter
    def connection_class(self, kind: type[Connection]) -> None:
        self._pool.connection_class = kind

    def take(self, seconds: float | None = None) -> Connection:
        """Return a connection that is open, as far as can be seen without a round trip.

        Servers and poolers drop idle connections. psycopg's own check waits a second before it
        tries the next connection.

        Args:
            seconds: how long to wait for one; None for the pool's limit.

        Raises:
            psycopg.OperationalError: none was available in time, or too many requests wait.
        """
        until = monotonic() + (self.limits.seconds if seconds is None else seconds)
        if self._pool.closed:
            # Not before the first use, which comes after any fork.
            self._pool.open()
        while True:
            connection = self._pool.getconn(until - monotonic())
            if monotonic() - connection.used_at < MAX_IDLE_SECONDS and connection.is_live():
                return connection
            self._replace(connection)

    def give_back(self, connection: Connection) -> None:
        """Return a connection; one that is closed, in a transaction or worn is replaced."""
        self.round_trips += connection.round_trips
        connection.round_trips = 0
        connection.used_at = monotonic()
        if connection.prepared >= MAX_PREPARED or not connection.is_ready:
            self._replace(connection)
        else:
            self._pool.putconn(connection)

    def close(self) -> None:
        """Close the idle connections now, and the others when they are given back."""
        self._pool.close()

    @property
    def size(self) -> int:
        """Connections that are open or being opened."""
        return self._count("pool_size")

    @property
    def in_use(self) -> int:
        """Connections that a request has, or waits for."""
        return self.size - self._count("pool_available")

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return self._count("requests_waiting")

    @property
    def waits(self) -> int:
        """Requests that have had to wait."""
        return self._count("requests_queued")

    @property
    def waited_seconds(self) -> float:
        """The sum of their waits."""
        return self._count("requests_wait_ms") / 1000

    def _count(self, name: str) -> int:
        return self._pool.get_stats().get(name, 0)

    def _replace(self, connection: Connection) -> None:
        connection.close()
        self._pool.putconn(connection)


def _reporting(kind: type[Connection]) -> type[Connection]:
    """The same class, which logs failures to connect."""

    class ReportingConnection(kind):  # type: ignore[misc, valid-type]  # mypy knows no class by value
        @classmethod
        def connect(cls, *args: Any, **options: Any) -> Self:
            try:
                made: Self = super().connect(*args, **options)
            except Exception as error:
                # The error's own text has the database's address and user.
                _log.warning("connection_failed", extra={"error": type(error).__name__})
                raise
            return made

    return ReportingConnection
