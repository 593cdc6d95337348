"""The pool of connections: in order, in time, and never more than it may have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest

from taskapi.db import connections
from taskapi.db.connections import ConnectFailed, Limits, Pool, PoolTimeout
from taskapi.runtime import connection as runtime
from taskapi.runtime.connection import Connection

Connect = Callable[[], Connection]


@pytest.fixture
def connect(database_url: str) -> Connect:
    return lambda: Connection.connect(database_url, autocommit=True)


@contextmanager
def pool_of(
    connect: Connect, size: int = 1, seconds: float = 10, waiting: int = 9
) -> Iterator[Pool]:
    pool = Pool(connect, Limits(size, seconds, waiting))
    try:
        yield pool
    finally:
        pool.close()


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_who_waits_longest_comes_first(connect: Connect) -> None:
    served: list[int] = []
    with pool_of(connect) as pool, ThreadPoolExecutor(5) as threads:
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


def test_it_grows_as_needed_and_no_further(connect: Connect) -> None:
    made: list[Connection] = []

    def counted() -> Connection:
        made.append(connect())
        return made[-1]

    with pool_of(counted, size=2, seconds=0.2) as pool:
        first = pool.take()
        pool.give_back(first)
        assert pool.take() is first
        second = pool.take()
        with pytest.raises(PoolTimeout):
            pool.take()
        assert made == [first, second]
        pool.give_back(first)
        pool.give_back(second)


def test_a_slow_database_costs_no_more_than_the_wait_and_is_used_when_it_is_there(
    connect: Connect,
) -> None:
    may_connect = Event()

    def slow() -> Connection:
        may_connect.wait(10)
        return connect()

    with pool_of(slow, seconds=0.1) as pool:
        for _ in range(2):
            with pytest.raises(PoolTimeout):
                pool.take()
        may_connect.set()
        _until(lambda: pool.size - pool.in_use > 0)
        pool.give_back(pool.take())


def test_who_waits_is_told_at_once_that_the_database_is_away_and_may_ask_again(
    connect: Connect,
) -> None:
    answers = [connect, _refuse]

    def recovering() -> Connection:
        return answers.pop()()

    with pool_of(recovering, seconds=60) as pool:
        with pytest.raises(psycopg.OperationalError, match="away"):
            pool.take()
        pool.give_back(pool.take())


def _refuse() -> Connection:
    raise psycopg.OperationalError("away")


@pytest.mark.parametrize("error", [OSError("away"), ValueError("no address")], ids=repr)
def test_an_error_that_is_not_of_psycopg_is_reported_and_takes_no_place(
    connect: Connect, error: Exception
) -> None:
    def fail() -> Connection:
        raise error

    answers = [connect, fail]

    def recovering() -> Connection:
        return answers.pop()()

    with pool_of(recovering, seconds=60) as pool:
        with pytest.raises(ConnectFailed):
            pool.take()
        assert pool.size == 0
        pool.give_back(pool.take())


def test_a_thread_that_cannot_start_takes_no_place(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pool_of(connect, seconds=60) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(connections.Thread, "start", fail)
            with pytest.raises(ConnectFailed):
                pool.take()
        assert (pool.size, pool.waiting) == (0, 0)
        pool.give_back(pool.take())


def test_no_more_wait_than_may(connect: Connect) -> None:
    with pool_of(connect, waiting=0) as pool, pytest.raises(PoolTimeout):
        pool.take()


@pytest.mark.parametrize("spoil", [lambda c: c.close(), lambda c: c.execute("BEGIN")])
def test_what_comes_back_unfit_is_replaced(
    connect: Connect, spoil: Callable[[Connection], object]
) -> None:
    with pool_of(connect) as pool, ThreadPoolExecutor(1) as threads:
        first = pool.take()
        waiting = threads.submit(pool.take)
        _until(lambda: pool.waiting > 0)
        spoil(first)
        pool.give_back(first)
        second = waiting.result(10)
        assert second is not first
        assert second.run(b"SELECT 1::int8", []) == [(1,)]
        pool.give_back(second)


def test_what_was_idle_for_long_is_closed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pool_of(connect, size=2) as pool:
        first, second = pool.take(), pool.take()
        pool.give_back(first)
        monkeypatch.setattr(connections, "MAX_IDLE_SECONDS", -1)
        pool.give_back(second)
        assert first.closed
        assert not second.closed


def test_a_connection_that_was_idle_for_long_is_not_handed_out(connect: Connect) -> None:
    with pool_of(connect) as pool:
        first = pool.take()
        pool.give_back(first)
        first.used_at -= connections.MAX_IDLE_SECONDS + 1
        second = pool.take()
        assert first.closed
        assert not second.closed
        pool.give_back(second)


def test_connections_are_replaced_at_a_greatest_age_and_not_all_at_once(connect: Connect) -> None:
    begun = time.monotonic()
    with pool_of(connect, size=5) as pool:
        held = [pool.take() for _ in range(5)]
        ends = {connection.expires_at for connection in held}
        assert len(ends) == 5
        assert all(0 < end - begun <= runtime.MAX_AGE_SECONDS + 60 for end in ends)
        held[0].expires_at = time.monotonic() - 1
        for connection in held:
            pool.give_back(connection)
        assert [connection.closed for connection in held] == [True, False, False, False, False]
        assert pool.size == 4


def test_a_closed_pool_keeps_nothing(connect: Connect) -> None:
    with pool_of(connect, size=2) as pool:
        first, second = pool.take(), pool.take()
        pool.give_back(first)
        pool.close()
        assert first.closed
        assert not second.closed
        pool.give_back(second)
        assert second.closed
