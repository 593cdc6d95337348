"""The pool of connections: psycopg's, which also recovers quickly when the server restarts."""

from __future__ import annotations

import logging
from time import monotonic
from typing import NamedTuple

from psycopg_pool import ConnectionPool

from taskapi.db.concurrency import ConcurrencyLimits
from taskapi.runtime.connection import MAX_PREPARED, Connection

MAX_IDLE_SECONDS = 240
"""Neon and many firewalls drop connections that are idle for five minutes."""

MAX_AGE_SECONDS = 1_800
"""Connections of this age are replaced, which limits the memory of their backends."""

_log = logging.getLogger("taskapi.pool")

_CONNECT = {
    "autocommit": True,
    "application_name": "taskapi",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class Limits(NamedTuple):
    """The size of a pool, the longest wait for a connection, and the number of waiting requests."""

    connections: int
    seconds: float
    waiting: int


class Pool:
    """Connections in autocommit. Requests get them in the order of arrival.

    Connections are opened in the background, so that a slow database delays a request by the
    longest wait at most.

    Args:
        url: the URL of the database.
        kind: the class of the connections.
        limits: the limits of the pool.
        prepares: whether statements are prepared.
    """

    def __init__(self, url: str, kind: type[Connection], limits: Limits, *, prepares: bool) -> None:
        def configure(connection: Connection) -> None:
            # Connection.run() prepares statements itself.
            connection.prepare_threshold = None
            connection.prepares = prepares

        self.limits = limits
        self.concurrency = ConcurrencyLimits(limits.connections, limits.seconds)
        self.round_trips = 0
        self._pool = ConnectionPool(
            url,
            connection_class=kind,
            kwargs=_CONNECT,
            configure=configure,
            min_size=0,
            max_size=limits.connections,
            max_waiting=limits.waiting,
            max_idle=MAX_IDLE_SECONDS,
            max_lifetime=MAX_AGE_SECONDS,
            reconnect_timeout=limits.seconds,
            # psycopg's own messages contain the database's address and user.
            reconnect_failed=lambda _: _log.warning("connection_failed"),
            open=False,
        )

    @property
    def connection_class(self) -> type[Connection]:
        """The class of new connections."""
        return self._pool.connection_class

    @connection_class.setter
    def connection_class(self, kind: type[Connection]) -> None:
        self._pool.connection_class = kind

    def take(self, seconds: float | None = None) -> Connection:
        """Take an open connection. It is checked without a round trip.

        Servers and poolers drop idle connections. psycopg's own check waits a second before it
        tries the next one.

        Args:
            seconds: the longest wait; None for the pool's limit.

        Raises:
            psycopg.OperationalError: none was available in time, or too many requests wait.
        """
        until = monotonic() + (self.limits.seconds if seconds is None else seconds)
        if self._pool.closed:
            # At the first use, which is after any fork.
            self._pool.open()
        while True:
            connection = self._pool.getconn(until - monotonic())
            if monotonic() - connection.used_at < MAX_IDLE_SECONDS and connection.is_live():
                return connection
            self._replace(connection)

    def give_back(self, connection: Connection) -> None:
        """Return a connection. It is replaced if it is closed, in a transaction or worn out."""
        self.round_trips += connection.round_trips
        connection.round_trips = 0
        connection.used_at = monotonic()
        if connection.prepared >= MAX_PREPARED or not connection.is_ready:
            self._replace(connection)
        else:
            self._pool.putconn(connection)

    def close(self) -> None:
        """Close idle connections now, and the others when they are returned."""
        self._pool.close()

    @property
    def size(self) -> int:
        """The number of connections that are open or being opened."""
        return self._count("pool_size")

    @property
    def in_use(self) -> int:
        """The number of connections that a request uses or waits for."""
        return self.size - self._count("pool_available")

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a connection."""
        return self._count("requests_waiting")

    @property
    def waits(self) -> int:
        """The number of requests that have waited."""
        return self._count("requests_queued")

    @property
    def waited_seconds(self) -> float:
        """The total time that requests have waited."""
        return self._count("requests_wait_ms") / 1000

    def _count(self, name: str) -> int:
        return self._pool.get_stats().get(name, 0)

    def _replace(self, connection: Connection) -> None:
        connection.close()
        self._pool.putconn(connection)
