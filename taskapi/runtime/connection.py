"""A connection to PostgreSQL that executes compiled SQL in one round trip.

psycopg's cursors convert a query, look up its prepared name and describe its result on every
execution. Here the SQL is compiled and the types of parameters are declared, so it is sent without
changes. psycopg's adaptation converts values and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from math import inf
from select import POLLIN
from time import monotonic
from typing import Any

import psycopg
from gevent import get_hub
from gevent.monkey import get_original
from gevent.monkey import is_module_patched as is_patched
from psycopg import errors, generators, pq, waiting
from psycopg.abc import RV, PQGen
from psycopg.adapt import Buffer, Transformer
from psycopg.waiting import Ready, Wait

from taskapi.runtime.timer import TimeLimit

Row = tuple[Any, ...]

MAX_PREPARED = 200
"""A connection with this number of prepared statements is replaced, since they use memory."""

# gevent's version would switch greenlets, although this one never waits.
_poll = get_original("select", "poll")


_CANCEL_SECONDS = 0.3
"""The time limit for canceling a statement, up to the server's confirmation."""


class QueryTooLongError(psycopg.OperationalError):
    """The database neither responded in time nor confirmed the cancellation."""


class StalePlanError(psycopg.OperationalError):
    """A migration changed the result of a prepared statement. It can be retried."""


class _Dumpers(dict[int, Callable[[Any], Buffer | None]]):
    """Functions that convert a value to bytes, by the OID of the parameter's declared type."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, oid: int) -> Callable[[Any], Buffer | None]:
        kind = self._connection.adapters.get_dumper_by_oid(oid, pq.Format.BINARY)
        self[oid] = dump = kind(type(None), self._connection).dump
        return dump


class Connection(psycopg.Connection[Row]):
    """A connection in autocommit that executes compiled SQL in one round trip.

    `prepares` is whether statements are prepared on the server.
    """

    prepares = False
    patience = 10.0
    """The time limit in seconds for the server's next response. Without gevent there is none."""

    trace: Callable[[bytes], AbstractContextManager[object]] | None = None
    """Returns the context in which a statement with this SQL is executed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dumpers = _Dumpers(self)
        self._loading = Transformer(self)
        self._names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._stale_plans = 0
        self._eof = _poll()
        self._eof.register(self.pgconn.socket, POLLIN)
        self.prepared = 0
        self.used_at = monotonic()
        self.expires_at = inf
        self.round_trips = 0

    def run(
        self,
        sql: bytes,
        values: Sequence[Any] = (),
        types: tuple[int, ...] = (),
        *,
        is_kept: bool = True,
    ) -> list[Row]:
        """Execute a statement, and return all rows of its result.

        Args:
            sql: one statement, with PostgreSQL's placeholders: `$1`.
            values: the values of the placeholders.
            types: the OIDs of the placeholders' types. They do not depend on the values, so that a
                statement is prepared once.
            is_kept: whether it may be prepared, for the lifetime of the connection.

        Raises:
            psycopg.Error: as psycopg's cursors.
            psycopg.errors.QueryCanceled: it took longer than `patience`. Nothing was done.
            QueryTooLongError: as it says.
            StalePlanError: in a transaction, which must be repeated.
        """
        if self.trace is None:
            return self._planned(sql, values, types, is_kept=is_kept)
        with self.trace(sql):
            return self._planned(sql, values, types, is_kept=is_kept)

    def _planned(
        self, sql: bytes, values: Sequence[Any], types: tuple[int, ...], *, is_kept: bool
    ) -> list[Row]:
        """Execute a statement, once more if its plan was stale."""
        try:
            return self._run(sql, values, types, is_kept=is_kept)
        except StalePlanError:
            if not self.is_ready:
                raise
            return self._run(sql, values, types, is_kept=is_kept)

    def _run(
        self, sql: bytes, values: Sequence[Any], types: tuple[int, ...], *, is_kept: bool
    ) -> list[Row]:
        pgconn, dumpers = self.pgconn, self._dumpers
        dumped = [
            None if value is None else dumpers[oid](value)
            for value, oid in zip(values, types, strict=True)
        ]
        formats = [pq.Format.BINARY] * len(types)
        if self.prepares and is_kept:
            name = self._names.get((sql, types)) or self._prepare(sql, types)
            pgconn.send_query_prepared(name, dumped, formats, pq.Format.BINARY)
        else:
            pgconn.send_query_params(sql, dumped, types, formats, pq.Format.BINARY)
        result, loading = self._result(), self._loading
        loading.set_pgresult(result)
        rows: list[Row] = loading.load_rows(0, result.ntuples, tuple)
        # Free the memory of the result before the next use of the connection.
        loading.set_pgresult(None)
        return rows

    @property
    def is_ready(self) -> bool:
        """Whether the connection is open and not in a transaction."""
        return self.pgconn.transaction_status == pq.TransactionStatus.IDLE

    def is_live(self) -> bool:
        """Whether the server has not closed the connection. This takes no round trip."""
        try:
            while self._eof.poll(0):
                self.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return True

    def _prepare(self, sql: bytes, types: tuple[int, ...]) -> bytes:
        key = (sql, types)
        # Pad the SQL so that poolers prepare it anew. They cache the old description of the result.
        sql += b" " * self._stale_plans
        # The name is a hash of the statement. With a counter, a pooler without support for prepared
        # statements would execute what another client has prepared.
        name = blake2b(repr((sql, types)).encode(), digest_size=16).hexdigest().encode()
        self.pgconn.send_prepare(name, sql, types)
        self._result()
        self._names[key] = name
        self.prepared += 1
        return name

    def _result(self) -> pq.abc.PGresult:
        result: pq.abc.PGresult
        (result,) = self.wait(generators.execute(self.pgconn))
        if result.status == pq.ExecStatus.FATAL_ERROR:
            error = errors.error_from_result(result)
            # The message depends on the server's language.
            if error.diag.source_function == "RevalidateCachedQuery":
                self._names.clear()
                self._stale_plans += 1
                raise StalePlanError from error
            raise error
        return result


class GeventConnection(Connection):
    """A connection that waits on its own event watcher, with a time limit.

    psycopg's wait under gevent creates and registers a poll object for each query.
    """

    _readable: Any = None

    def wait(self, gen: PQGen[RV], interval: float = 0.0, timeout: float | None = None) -> RV:
        """Run one of psycopg's generators. Other greenlets run while it waits.

        A statement that takes longer than `patience` is canceled.

        Raises:
            QueryTooLongError: as it says.
        """
        self.round_trips += 1
        if self._readable is None:
            self._readable = get_hub().loop.io(self.pgconn.socket, Wait.R)
        try:
            with TimeLimit(self.patience, QueryTooLongError):
                return self._wait(gen)
        except QueryTooLongError:
            return self._cancel(gen)

    def _cancel(self, gen: PQGen[RV]) -> RV:
        """Cancel the statement, and return the generator's result once the server responds."""
        try:
            with TimeLimit(_CANCEL_SECONDS, QueryTooLongError):
                self.cancel_safe()
                return self._wait(gen, is_resumed=True)
        except psycopg.OperationalError as error:
            self.pgconn.finish()
            raise QueryTooLongError from error

    def _wait(self, gen: PQGen[RV], *, is_resumed: bool = False) -> RV:
        hub = get_hub()
        try:
            wanted = gen.send(Ready.R) if is_resumed else next(gen)
            while True:
                is_usual = wanted == Wait.R
                hub.wait(self._readable if is_usual else hub.loop.io(self.pgconn.socket, wanted))
                # The socket is non-blocking, so a spurious wakeup does no harm.
                wanted = gen.send(Ready(wanted))
        except StopIteration as done:
            result: RV = done.value
            return result


def connection_class() -> type[Connection]:
    """The class of connections for this process, with or without gevent."""
    return GeventConnection if is_patched("select") else Connection


def raise_if_blocking() -> None:
    """Check that psycopg was imported after gevent patched the standard library.

    Raises:
        RuntimeError: it was not, and each query would block the whole worker.
    """
    if waiting.wait is getattr(waiting, "wait_c", None):
        raise RuntimeError("psycopg was imported before gevent patched the standard library")
