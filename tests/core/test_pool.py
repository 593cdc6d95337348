"""The connection pool: order of waiting requests, timeouts and limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import psycopg
import pytest
from support.servers import free_port

from taskapi.db import connections
from taskapi.db.connections import ConnectFailed, Limits, Pool
from taskapi.runtime.connection import Connection

Unfit = Callable[[Connection], object]


@contextmanager
def pool_of(
    url: str, size: int = 1, seconds: float = 10, waiting: int = 9, *, prepares: bool = False
) -> Iterator[Pool]:
    pool = Pool(url, Connection, Limits(size, seconds, waiting), prepares=prepares)
    try:
        yield pool
    finally:
        pool.close()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_longest_wait_is_served_first(database_url: str) -> None:
    served: list[int] = []
    with pool_of(database_url) as pool, ThreadPoolExecutor(5) as threads:
        held = pool.take()

        def serve(number: int) -> None:
            connection = pool.take()
            served.append(number)
            pool.give_back(connection)

        for number in range(5):
            threads.submit(serve, number)
            _until(lambda number=number: pool.waiting > number)
        pool.give_back(held)
        _until(lambda: len(served) == 5)
    assert served == list(range(5))


def test_it_grows_to_its_limit(database_url: str) -> None:
    with pool_of(database_url, size=2, seconds=0.2) as pool:
        first = pool.take()
        pool.give_back(first)
        assert pool.take() is first
        second = pool.take()
        with pytest.raises(psycopg.OperationalError):
            pool.take()
        assert (pool.size, pool.in_use, pool.waits) == (2, 2, 3)
        pool.give_back(first)
        pool.give_back(second)
        assert (pool.size, pool.in_use) == (2, 0)


def test_an_unreachable_database_is_an_error_at_once() -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/none"
    with pool_of(url, seconds=60) as pool:
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError):
                pool.take()
            assert pool.size == 0


# A bug in the opening of connections has a traceback; it must not take a place.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [OSError("away"), ValueError("no address")], ids=repr)
def test_an_error_that_is_not_of_psycopg_is_reported_and_takes_no_place(
    database_url: str, error: Exception
) -> None:
    class Failing(Connection):
        @classmethod
        def connect(cls, *_: object, **__: object) -> Connection:
            raise error

    with pool_of(database_url, seconds=60) as pool:
        pool.connection_class = Failing
        with pytest.raises(ConnectFailed):
            pool.take()
        assert pool.size == 0
        _until(lambda: all(thread.name != "connect" for thread in threading.enumerate()))
        pool.connection_class = Connection
        pool.give_back(pool.take())


def test_a_thread_that_cannot_start_takes_no_place(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pool_of(database_url, seconds=60) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(connections.Thread, "start", fail)
            with pytest.raises(ConnectFailed):
                pool.take()
        assert (pool.size, pool.waiting) == (0, 0)
        pool.give_back(pool.take())


def test_a_slow_database_delays_a_request_no_longer_than_its_wait(database_url: str) -> None:
    may_connect = Event()

    class Slow(Connection):
        @classmethod
        def connect(cls, *args: Any, **options: Any) -> Connection:
            may_connect.wait(10)
            return super().connect(*args, **options)

    with pool_of(database_url, seconds=0.1) as pool:
        pool.connection_class = Slow
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError):
                pool.take()
        may_connect.set()
        _until(lambda: pool.size - pool.in_use > 0)
        pool.give_back(pool.take())


def test_waiting_requests_are_limited(database_url: str) -> None:
    with pool_of(database_url, waiting=1, seconds=60) as pool, ThreadPoolExecutor(1) as threads:
        held = pool.take()
        waiting = threads.submit(pool.take)
        _until(lambda: pool.waiting == 1)
        with pytest.raises(psycopg.OperationalError, match="waiting"):
            pool.take()
        pool.give_back(held)
        pool.give_back(waiting.result(10))


@pytest.mark.parametrize("spoil", [lambda c: c.close(), lambda c: c.execute("BEGIN")])
def test_an_unfit_connection_is_replaced(database_url: str, spoil: Unfit) -> None:
    with pool_of(database_url) as pool, ThreadPoolExecutor(1) as threads:
        first = pool.take()
        waiting = threads.submit(pool.take)
        _until(lambda: pool.waiting > 0)
        spoil(first)
        pool.give_back(first)
        second = waiting.result(10)
        assert second is not first
        assert second.run(b"SELECT 1::int8") == [(1,)]
        pool.give_back(second)


def test_a_connection_that_has_prepared_many_statements_is_replaced(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_PREPARED", 3)
    with pool_of(database_url, prepares=True) as pool:
        first = pool.take()
        for number in range(3):
            pool.give_back(first)
            assert pool.take() is first
            first.run(b"SELECT %d" % number)
        pool.give_back(first)
        assert first.closed


def test_connections_closed_by_the_server_are_replaced_without_a_wait(database_url: str) -> None:
    with pool_of(database_url, size=3, seconds=1) as pool:
        held = [pool.take() for _ in range(3)]
        ended = [connection.info.backend_pid for connection in held]
        for connection in held:
            pool.give_back(connection)
        with psycopg.connect(database_url, autocommit=True) as admin:
            for pid in ended:
                admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        connection = pool.take()
        assert connection.info.backend_pid not in ended
        pool.give_back(connection)


def test_a_connection_idle_for_too_long_is_replaced(database_url: str) -> None:
    with pool_of(database_url) as pool:
        first = pool.take()
        pool.give_back(first)
        first.used_at -= connections.MAX_IDLE_SECONDS + 1
        second = pool.take()
        assert first.closed
        assert not second.closed
        pool.give_back(second)


def test_connections_have_a_maximum_age(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_AGE_SECONDS", 0.01)
    with pool_of(database_url) as pool:
        first = pool.take()
        time.sleep(0.02)
        pool.give_back(first)
        assert first.closed
        second = pool.take()
        assert second is not first
        pool.give_back(second)


def test_a_closed_pool_keeps_no_connection(database_url: str) -> None:
    with pool_of(database_url, size=2) as pool:
        first, second = pool.take(), pool.take()
        pool.give_back(first)
        pool.close()
        assert first.closed
        assert not second.closed
        pool.give_back(second)
        assert second.closed
