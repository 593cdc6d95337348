"""Executes statements, each in one round trip, and transactions.

A read needs no transaction. A write is one statement and its own transaction. Only `transaction()`
and `deferred()` span several statements.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

import psycopg
from flask import Flask

from config import Settings
from taskapi.db import sharding
from taskapi.db.concurrency import Share
from taskapi.db.connections import Limits, Pool, Taken, seconds_left
from taskapi.db.constraints import ReferenceMissing, ValueTaken
from taskapi.db.statement import Statement
from taskapi.db.timeouts import extend, extended
from taskapi.problems import (
    Deadlock,
    InsufficientStorage,
    OutcomeUnknown,
    StatementTimeout,
    Unavailable,
)
from taskapi.runtime.connection import Connection, QueryTooLongError, Row, connection_class
from taskapi.runtime.context import extensions, request_globals

_MAX_WAITING = 1_000
_MORE_SECONDS = 0.4
"""The time for a statement, in addition to the longest wait for a connection."""

_REPLICA_SECONDS = 0.5
"""The time limit of a query on the replica, including the wait for a connection."""

_REPLICA_PAUSE = 5.0
"""Seconds for which a replica is not used after it failed."""

_TIMEOUTS = (psycopg.errors.QueryCanceled, QueryTooLongError)

_log = logging.getLogger("taskapi.replica")


class Transaction:
    """Executes statements on one connection, in a transaction."""

    def __init__(self, connection: Connection, until: float) -> None:
        self._connection = connection
        self._until = until

    def rows(self, statement: Statement, **parameters: Any) -> list[Row]:
        """All rows of the result."""
        return _execute(self._connection, statement, parameters, self._until)

    def row(self, statement: Statement, **parameters: Any) -> dict[str, Any] | None:
        """The first row by column name, or None."""
        return _named(statement, self.rows(statement, **parameters))

    def extend(self, seconds: float) -> None:
        """Give the rest of the transaction so many seconds."""
        self._until = perf_counter() + seconds
        self._connection.patience = seconds
        extend(self._connection, seconds)

    def lend(self) -> Connection:
        """The connection, for a library that executes a statement of its own."""
        self._connection.patience = seconds_left(self._until)
        return self._connection


class Deferred:
    """A transaction that begins with the first write. Until then it uses no connection.

    Args:
        stack: ends the transaction.
        first: is called when the transaction has begun.
    """

    def __init__(self, stack: ExitStack, first: Callable[[Transaction], None]) -> None:
        self._stack = stack
        self._first = first
        self._work: Transaction | None = None
        self.afterwards: list[tuple[Statement, dict[str, Any]]] = []
        self.on_commit: list[Callable[[], None]] = []

    @property
    def has_begun(self) -> bool:
        return self._work is not None

    def begin(self) -> Transaction:
        """The transaction, which is begun if necessary."""
        if self._work is None:
            self._work = self._stack.enter_context(_begun())
            self._first(self._work)
        return self._work


class _Replica:
    """A read-only replica of the database, and when it may be used again after a failure."""

    def __init__(self, connections: Pool) -> None:
        self.connections = connections
        self.usable_at = 0.0

    def pause(self, error: Exception) -> None:
        # The error's text may contain users' data.
        _log.warning("replica_failed", extra={"error": type(error).__name__})
        self.usable_at = perf_counter() + _REPLICA_PAUSE


_deferred: ContextVar[Deferred | None] = ContextVar("deferred", default=None)
"""The transaction of this request's writes."""


def init_app(app: Flask, settings: Settings) -> None:
    """Create the pools. Connections are opened when they are needed, after any fork."""
    # libpq sends this at the start of a connection. PgBouncer supports it, unlike `options`.
    os.environ["PGTZ"] = "UTC"
    limits = Limits(settings.database_pool_size, settings.database_pool_timeout, _MAX_WAITING)

    def pool_of(url: str) -> Pool:
        pool = Pool(url, connection_class(), limits, prepares=settings.database_prepare)
        atexit.register(pool.close)
        return pool

    sharding.init_app(app, settings)
    app.extensions["taskapi_pool"] = pool_of(settings.database_url or "")
    replica = settings.database_url_replica
    app.extensions["taskapi_replica"] = _Replica(pool_of(replica)) if replica else None


def pools(app: Flask) -> list[Pool]:
    """The pools of the database and of its replica, if there is one."""
    replica: _Replica | None = app.extensions["taskapi_replica"]
    return [app.extensions["taskapi_pool"], *([replica.connections] if replica else [])]


def pool() -> Pool:
    """The application's pool."""
    found: Pool = extensions()["taskapi_pool"]
    return found


def rows(statement: Statement, **parameters: Any) -> list[Row]:
    """Execute a statement in its own transaction, in one round trip, and return all rows.

    Inside `deferred()` it is part of that transaction, from the first write on. A read is retried
    once if its connection is lost. A write is not, since it may have been committed.

    Raises:
        Unavailable: no connection was available in time, or the database is down.
        OutcomeUnknown: the connection was lost during a write.
        InsufficientStorage: the database has no space for a write.
    """
    joined = _deferred.get()
    if joined and not statement.independent and (statement.writes or joined.has_begun):
        return joined.begin().rows(statement, **parameters)
    with _Watch(writes=statement.writes) as started:
        connections = pool()
        until = started + (statement.seconds or connections.limits.seconds + _MORE_SECONDS)
        try:
            return _run(connections, statement, parameters, until)
        except _ConnectionLost:
            if statement.writes:
                raise
            return _run(connections, statement, parameters, until)


def row(statement: Statement, **parameters: Any) -> dict[str, Any] | None:
    """Like `rows`, but the first row by column name, or None."""
    return _named(statement, rows(statement, **parameters))


def run_afterwards(statement: Statement, **parameters: Any) -> None:
    """Execute a write that must be committed even if the request fails.

    It is executed after the current transaction, because a request never holds two connections.

    Raises:
        Unavailable, OutcomeUnknown: as `rows`.
    """
    joined = _deferred.get()
    if joined and joined.has_begun:
        joined.afterwards.append((statement, parameters))
    else:
        rows(statement, **parameters)


def lent_connection() -> Connection:
    """The connection of the current transaction, for a library that executes its own statement.

    Raises:
        RuntimeError: there is no transaction.
    """
    joined = _deferred.get()
    if joined is None:
        raise RuntimeError("a connection is lent only inside of a transaction")
    return joined.begin().lend()


def after_commit(action: Callable[[], None]) -> None:
    """Call a function once the current transaction is committed.

    Raises:
        RuntimeError: there is no transaction.
    """
    joined = _deferred.get()
    if joined is None:
        raise RuntimeError("there is no transaction")
    joined.on_commit.append(action)


def has_replica() -> bool:
    """Whether there is a usable replica."""
    replica: _Replica | None = extensions()["taskapi_replica"]
    return replica is not None and perf_counter() >= replica.usable_at


def replica_rows(statement: Statement, **parameters: Any) -> list[Row]:
    """The result of a read on the replica, which may lag; empty if it does not respond."""
    replica: _Replica = extensions()["taskapi_replica"]
    with _Watch(writes=False) as started:
        try:
            return _run(replica.connections, statement, parameters, started + _REPLICA_SECONDS)
        except (psycopg.Error, _ConnectionLost) as error:
            replica.pause(error)
            return []


@contextmanager
def deferred(first: Callable[[Transaction], None]) -> Iterator[Deferred]:
    """A transaction that begins with the first write of the block, if there is one.

    Args:
        first: is called when the transaction has begun.

    Raises:
        Unavailable, OutcomeUnknown: as `transaction`.
    """
    stack = ExitStack()
    work = Deferred(stack, first)
    try:
        with stack:
            token = _deferred.set(work)
            try:
                yield work
            finally:
                _deferred.reset(token)
        for action in work.on_commit:
            action()
    finally:
        for statement, parameters in work.afterwards:
            rows(statement, **parameters)


@contextmanager
def transaction() -> Iterator[Transaction]:
    """A transaction. Inside `deferred()` it is part of that.

    Raises:
        Unavailable: no connection was available in time, or the database is down.
        OutcomeUnknown: the connection was lost.
        InsufficientStorage: the database has no space.
    """
    joined = _deferred.get()
    if joined:
        yield joined.begin()
        return
    with deferred(lambda _: None) as work:
        yield work.begin()


@contextmanager
def _begun() -> Iterator[Transaction]:
    with _Watch(writes=True) as started:
        connections = pool()
        until = started + connections.limits.seconds + _MORE_SECONDS
        with _taken(connections, until, writes=True) as connection:
            connection.patience = seconds_left(until)
            is_committing = False
            try:
                with connection.transaction():
                    yield Transaction(connection, until)
                    is_committing = True
            except psycopg.Error as error:
                if connection.closed and isinstance(error, psycopg.OperationalError):
                    raise _ConnectionLost from error
                if not is_committing and sharding.problem_of(error, writes=True):
                    raise Unavailable from error  # It was rolled back.
                raise


def _taken(connections: Pool, until: float, *, writes: bool) -> Taken:
    return Taken(connections, request_globals().get("share"), until, writes=writes)


def count_towards(share: Share) -> None:
    """Count this request towards the limits of a share."""
    request_globals().share = share


def seconds_spent() -> float:
    """The time that this request has spent on the database, including waits for a connection."""
    return float(request_globals().get("database_seconds", 0.0))


class _ConnectionLost(Exception):
    """The connection was lost during a statement."""


class _Watch:
    """Measures the time, and converts database errors to problems."""

    __slots__ = ("started", "writes")

    def __init__(self, *, writes: bool) -> None:
        self.writes = writes

    def __enter__(self) -> float:
        self.started = perf_counter()
        return self.started

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        spent = request_globals()
        before = spent.get("database_seconds", 0.0)
        spent.database_seconds = before + perf_counter() - self.started
        if isinstance(error, (psycopg.Error, _ConnectionLost)):
            raise self._problem(error) from error

    def _problem(self, error: psycopg.Error | _ConnectionLost) -> Exception:
        if not self.writes and isinstance(error, _TIMEOUTS):
            return StatementTimeout()
        if isinstance(error, (_ConnectionLost, QueryTooLongError)):
            return OutcomeUnknown() if self.writes else Unavailable()
        if self.writes and isinstance(error, psycopg.errors.DiskFull):
            return InsufficientStorage()
        if isinstance(error, psycopg.errors.DeadlockDetected):
            return Deadlock()
        if isinstance(error, (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)):
            return sharding.problem_of(error, writes=self.writes) or Unavailable()
        return sharding.problem_of(error, writes=self.writes) or error


def _named(statement: Statement, found: list[Row]) -> dict[str, Any] | None:
    return dict(zip(statement.columns, found[0], strict=True)) if found else None


def _run(
    connections: Pool, statement: Statement, parameters: Mapping[str, Any], until: float
) -> list[Row]:
    with _taken(connections, until, writes=statement.writes) as connection:
        if (statement.seconds or 0) <= connections.limits.seconds:
            return _execute(connection, statement, parameters, until)
        connection.patience = seconds_left(until)
        with extended(connection, statement.seconds or 0):
            return _execute(connection, statement, parameters, until)


def _execute(
    connection: Connection, statement: Statement, parameters: Mapping[str, Any], until: float
) -> list[Row]:
    connection.patience = seconds_left(until)
    try:
        compiled = statement.compiled(parameters)
        values, is_kept = compiled.values(parameters), not statement.is_dynamic
        return connection.run(compiled.sql, values, compiled.types, is_kept=is_kept)
    except psycopg.errors.ForeignKeyViolation as error:
        raise ReferenceMissing(error) from error
    except psycopg.errors.UniqueViolation as error:
        raise ValueTaken(error) from error
    except psycopg.OperationalError as error:
        if connection.closed and not isinstance(error, QueryTooLongError):
            raise _ConnectionLost from error
        raise
