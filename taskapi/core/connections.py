"""Connections to PostgreSQL: how one runs a statement and waits for it, and a fair pool of them.

psycopg's cursors convert a query, look for what it is prepared as and describe its result, each
time it runs. Here a statement was compiled once, so it is sent as it is, and psycopg's adaptation
turns values into bytes and rows into values: half of the time. `docs/performance.md` has figures.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from hashlib import blake2b
from select import POLLIN
from threading import Lock, Thread
from time import monotonic
from typing import Any, NamedTuple

import psycopg
from gevent import Timeout, get_hub
from gevent.monkey import get_original
from gevent.monkey import is_module_patched as is_patched
from psycopg import errors, generators, pq
from psycopg.abc import RV, PQGen
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper
from psycopg.waiting import Ready, Wait

Row = tuple[Any, ...]

MAX_IDLE_SECONDS = 240
"""Neon and many firewalls drop connections that are idle for five minutes."""

MAX_AGE_SECONDS = 1_800
"""A connection is replaced at this age at the latest, which bounds the memory of its backend."""

_log = logging.getLogger("taskapi.pool")

# gevent's own would switch greenlets, and this one only looks.
_poll = get_original("select", "poll")

# Every integer as a bigint: a type that follows the value would be a statement to prepare anew.
ADAPTERS = AdaptersMap(psycopg.adapters)
ADAPTERS.register_dumper(int, Int8Dumper)
ADAPTERS.register_dumper(int, Int8BinaryDumper)


class QueryTooLongError(psycopg.OperationalError):
    """The database did not answer in time; its connection is given up, the statement may go on."""


class StalePlanError(psycopg.OperationalError):
    """A migration changed what a prepared statement gives; it did nothing, and may be run again."""


class Connection(psycopg.Connection[Row]):
    """A connection in autocommit that runs compiled SQL in one round trip.

    `prepares` says whether the server keeps the statements, by name.
    """

    prepares = False
    patience = 10.0
    """Seconds that the server has for its next answer; without gevent it decides itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adapt = Transformer(self)
        self._names: dict[tuple[bytes, tuple[int, ...] | None], bytes] = {}
        self._stale_plans = 0
        self._eof = _poll()
        self._eof.register(self.pgconn.socket, POLLIN)
        self.used_at = now = monotonic()
        # Those that were made together are replaced at different times.
        self.expires_at = now + MAX_AGE_SECONDS * (0.8 + 0.2 * random.random())  # noqa: S311 - no secret
        self.round_trips = 0

    def run(self, sql: bytes, values: Sequence[Any], *, is_kept: bool = True) -> list[Row]:
        """All rows that a statement gives.

        Args:
            sql: one statement, with PostgreSQL's own placeholders: `$1`.
            values: of the placeholders, in their order.
            is_kept: whether it may be prepared, which lasts as long as the connection.

        Raises:
            psycopg.Error: as psycopg's cursors raise it.
            QueryTooLongError: it took longer than `patience`.
            StalePlanError: inside a transaction, which is lost.
        """
        try:
            return self._run(sql, values, is_kept=is_kept)
        except StalePlanError:
            if self.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                raise
            return self._run(sql, values, is_kept=is_kept)

    def _run(self, sql: bytes, values: Sequence[Any], *, is_kept: bool) -> list[Row]:
        adapt, pgconn = self._adapt, self.pgconn
        dumped = adapt.dump_sequence(values, [PyFormat.BINARY] * len(values))
        if self.prepares and is_kept:
            name = self._names.get((sql, adapt.types)) or self._prepare(sql)
            pgconn.send_query_prepared(name, dumped, adapt.formats, pq.Format.BINARY)
        else:
            pgconn.send_query_params(sql, dumped, adapt.types, adapt.formats, pq.Format.BINARY)
        result = self._result()
        adapt.set_pgresult(result)
        rows: list[Row] = adapt.load_rows(0, result.ntuples, tuple)
        # It would otherwise be kept, however large, until the connection is used again.
        adapt.set_pgresult(None)
        return rows

    def is_live(self) -> bool:
        """Whether the server has not closed it meanwhile; to look costs no round trip."""
        try:
            while self._eof.poll(0):
                self.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return True

    def _prepare(self, sql: bytes) -> bytes:
        types = self._adapt.types
        key = (sql, types)
        # Another text is another statement, for poolers too, which keep what the text was before.
        sql += b" " * self._stale_plans
        # Named by what it is: where connections are shared, as in a pooler that knows nothing of
        # prepared statements, a name that counts would run what somebody else has prepared.
        name = blake2b(repr((sql, types)).encode(), digest_size=16).hexdigest().encode()
        self.pgconn.send_prepare(name, sql, types)
        self._result()
        self._names[key] = name
        return name

    def _result(self) -> pq.abc.PGresult:
        result: pq.abc.PGresult
        (result,) = self.wait(generators.execute(self.pgconn))
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = errors.error_from_result(result)
            # Its words depend on the server's language.
            if error.diag.source_function == "RevalidateCachedQuery":
                self._names.clear()
                self._stale_plans += 1
                raise StalePlanError from error
            raise error
        return result


class GeventConnection(Connection):
    """A connection that waits on a watcher of its own, and not for ever.

    psycopg's own way under gevent makes a poll object and registers with it for each query.
    """

    _readable: Any = None

    def wait(self, gen: PQGen[RV], interval: float = 0.0, timeout: float | None = None) -> RV:
        """Run one of psycopg's generators, giving way to other greenlets while it waits.

        Raises:
            QueryTooLongError: it took longer than `patience`.
        """
        self.round_trips += 1
        if self._readable is None:
            self._readable = get_hub().loop.io(self.pgconn.socket, Wait.R)
        try:
            with Timeout(self.patience, QueryTooLongError):
                return self._wait(gen)
        except QueryTooLongError:
            self.pgconn.finish()
            raise

    def _wait(self, gen: PQGen[RV]) -> RV:
        hub = get_hub()
        try:
            wanted = next(gen)
            while True:
                is_usual = wanted == Wait.R
                hub.wait(self._readable if is_usual else hub.loop.io(self.pgconn.socket, wanted))
                # To try what is not ready yet does no harm: the socket does not block.
                wanted = gen.send(Ready(wanted))
        except StopIteration as done:
            result: RV = done.value
            return result


def connection_class() -> type[Connection]:
    """The class for this process: one that knows gevent where gevent was put in place."""
    return GeventConnection if is_patched("select") else Connection


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
        is_old = now > connection.expires_at
        if is_broken or is_old or self._is_closed or not is_ready:
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
