"""Statements, compiled once, on a fair pool of psycopg connections in autocommit.

SQLAlchemy Core says what a statement is; it is compiled when first used and then sent by psycopg
itself, so that a call costs one round trip and no ORM object. A read needs no transaction, a write
is one statement and its own transaction; only `transaction()` spans several.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from select import POLLIN
from time import perf_counter
from typing import Any

import psycopg
from flask import Flask, current_app, g
from gevent import Timeout, get_hub
from gevent.monkey import get_original
from gevent.monkey import is_module_patched as is_patched
from psycopg.abc import RV, PQGen
from psycopg.adapt import AdaptersMap
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper
from psycopg.waiting import Ready, Wait
from psycopg_pool import ConnectionPool
from sqlalchemy import Executable, NullPool
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import ClauseElement

from config import Settings
from taskapi.core.errors import OutcomeUnknown, Unavailable

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]
Pool = ConnectionPool[Connection]

# SQLAlchemy leaves its dialects untyped.
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
# gevent's own poll would switch greenlets; this one only looks, and never waits.
_poll = get_original("select", "poll")
_MAX_WAITING = 1_000


# Every integer as a bigint: a type that follows the value would be a statement to prepare anew.
_ADAPTERS = AdaptersMap(psycopg.adapters)
_ADAPTERS.register_dumper(int, Int8Dumper)
_ADAPTERS.register_dumper(int, Int8BinaryDumper)


class Statement:
    """One SQL statement, built from SQLAlchemy Core and compiled on first use.

    Args:
        clause: a select, or a write with RETURNING; its bind parameters are given when it runs.
        writes: whether it changes anything, so that it must not be sent a second time.
    """

    def __init__(self, clause: Executable, *, writes: bool = False) -> None:
        assert isinstance(clause, ClauseElement)
        self._clause = clause
        self.writes = writes

    @cached_property
    def _compiled(self) -> Any:
        return self._clause.compile(dialect=_DIALECT)

    @cached_property
    def sql(self) -> str:
        """The text that is sent, with psycopg's placeholders."""
        return str(self._compiled)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Parameters whose values are part of the statement."""
        return {k: v for k, v in self._compiled.params.items() if v is not None}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of a row of its result."""
        # What an Executable may be has no common type with columns; all that we build has them.
        return tuple(str(column.name) for column in self._clause.exported_columns)  # type: ignore[attr-defined]


QUERY_SECONDS = 10
"""Longer than any statement takes unless it waits for a lock or the database stands still."""


class QueryTooLongError(psycopg.OperationalError):
    """The database did not answer in time; its connection is given up, the statement may go on."""


class GeventConnection(psycopg.Connection[Row]):
    """A connection that waits on a watcher of its own, and not for ever.

    psycopg's own way under gevent makes a poll object and registers with it for each query.
    """

    _readable: Any = None

    def wait(self, gen: PQGen[RV], interval: float = 0.0, timeout: float | None = None) -> RV:
        """Run one of psycopg's generators, giving way to other greenlets while it waits.

        Raises:
            QueryTooLongError: it took more than `QUERY_SECONDS`.
        """
        try:
            with Timeout(QUERY_SECONDS, QueryTooLongError):
                return self._wait(gen)
        except QueryTooLongError:
            self.pgconn.finish()
            raise

    def _wait(self, gen: PQGen[RV]) -> RV:
        hub = get_hub()
        try:
            wanted = next(gen)
            if self._readable is None:
                self._readable = hub.loop.io(self.pgconn.socket, Wait.R)
            while True:
                is_usual = wanted == Wait.R
                hub.wait(self._readable if is_usual else hub.loop.io(self.pgconn.socket, wanted))
                # To try what is not ready yet does no harm: the socket does not block.
                wanted = gen.send(Ready(wanted))
        except StopIteration as done:
            result: RV = done.value
            return result


class Transaction:
    """Runs statements on one connection, inside `transaction()`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, statement: Statement, **parameters: Any) -> list[Row]:
        """All rows of the result."""
        return _execute(self._connection, statement, parameters)

    def row(self, statement: Statement, **parameters: Any) -> dict[str, Any] | None:
        """The first row by column name, or None."""
        return _named(statement, self.rows(statement, **parameters))


def engine_config(settings: Settings) -> dict[str, Any]:
    """Flask-SQLAlchemy's configuration: its engine serves migrations, past any pooler."""
    url = settings.database_url_direct or settings.database_url or ""
    return {
        "SQLALCHEMY_DATABASE_URI": "postgresql+psycopg://",
        "SQLALCHEMY_ENGINE_OPTIONS": {
            # libpq reads the URL itself, so that every parameter in it means what it says there.
            "creator": lambda: psycopg.connect(url, application_name="taskapi-migrations"),
            "poolclass": NullPool,
            "hide_parameters": True,
        },
    }


def init_app(app: Flask, settings: Settings) -> None:
    """Give the application its pool; connections are made when first needed, after any fork."""
    # libpq sends this at connection start, where PgBouncer takes it; `options` it would refuse.
    os.environ["PGTZ"] = "UTC"
    app.extensions["taskapi_pool"] = ConnectionPool(
        settings.database_url or "",
        kwargs={
            "autocommit": True,
            "prepare_threshold": 0 if settings.database_prepare else None,
            "application_name": "taskapi",
            "connect_timeout": 10,
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "context": _ADAPTERS,
        },
        min_size=0,
        connection_class=GeventConnection if is_patched("select") else psycopg.Connection,
        max_size=settings.database_pool_size,
        timeout=settings.database_pool_timeout,
        max_waiting=_MAX_WAITING,
        max_idle=240,
        reconnect_timeout=1,
        open=False,
    )


def pool() -> Pool:
    """The application's pool, opened."""
    found: Pool = current_app.extensions["taskapi_pool"]
    if found.closed:
        found.open()
        atexit.register(found.close)
    return found


def rows(statement: Statement, **parameters: Any) -> list[Row]:
    """Run a statement in its own transaction, in one round trip, and give all rows.

    A read whose connection dies under it is run once more; a write is not, for it may have been
    done.

    Raises:
        Unavailable: no connection could be had in time, or the database is down.
        OutcomeUnknown: the connection died during a write.
    """
    with _Watch(writes=statement.writes):
        try:
            return _run(statement, parameters)
        except _ConnectionLost:
            if statement.writes:
                raise
            return _run(statement, parameters)


def row(statement: Statement, **parameters: Any) -> dict[str, Any] | None:
    """Like `rows`, but the first row by column name, or None."""
    return _named(statement, rows(statement, **parameters))


@contextmanager
def transaction() -> Iterator[Transaction]:
    """Several statements that are done together or not at all.

    Raises:
        Unavailable: no connection could be had in time, or the database is down.
        OutcomeUnknown: the connection died on the way.
    """
    with _Watch(writes=True):
        connection = _live_connection()
        try:
            with connection.transaction():
                yield Transaction(connection)
        except psycopg.OperationalError as error:
            if connection.closed:
                raise _ConnectionLost from error
            raise
        finally:
            pool().putconn(connection)


def seconds_spent() -> float:
    """Seconds that this request has spent on the database, waits for a connection included."""
    return float(g.get("database_seconds", 0.0))


class _ConnectionLost(Exception):
    """The connection died while a statement ran on it."""


class _Watch:
    """Adds up the time spent, and turns the database's errors into problems."""

    __slots__ = ("started", "writes")

    def __init__(self, *, writes: bool) -> None:
        self.writes = writes

    def __enter__(self) -> None:
        self.started = perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        g.database_seconds = seconds_spent() + perf_counter() - self.started
        if isinstance(error, (psycopg.Error, _ConnectionLost)):
            raise self._problem(error) from error

    def _problem(self, error: psycopg.Error | _ConnectionLost) -> Exception:
        if isinstance(error, (_ConnectionLost, QueryTooLongError)):
            return OutcomeUnknown() if self.writes else Unavailable()
        if isinstance(error, (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)):
            return Unavailable()
        return error


def _named(statement: Statement, found: list[Row]) -> dict[str, Any] | None:
    return dict(zip(statement.columns, found[0], strict=True)) if found else None


def _run(statement: Statement, parameters: dict[str, Any]) -> list[Row]:
    connection = _live_connection()
    try:
        return _execute(connection, statement, parameters)
    finally:
        pool().putconn(connection)


def _execute(connection: Connection, statement: Statement, parameters: dict[str, Any]) -> list[Row]:
    cursor = connection.cursor(binary=True)
    try:
        cursor.execute(statement.sql, statement.defaults | parameters)
        return cursor.fetchall() if statement.columns else []
    except psycopg.OperationalError as error:
        if connection.closed and not isinstance(error, QueryTooLongError):
            raise _ConnectionLost from error
        raise


def _live_connection() -> Connection:
    """A connection that the server has not closed meanwhile; to look costs no round trip.

    Servers and poolers drop idle connections; nothing has been sent yet, so to take another one is
    safe for reads and writes alike.
    """
    while True:
        connection = pool().getconn()
        if _is_live(connection):
            return connection
        connection.close()
        pool().putconn(connection)


def _is_live(connection: Connection) -> bool:
    """Whether an idle connection is open: one that was closed has an end of file to read."""
    probe = _poll()
    try:
        probe.register(connection.pgconn.socket, POLLIN)
        while probe.poll(0):
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return True
