"""A refusal before the body was read: its sender finds it, and cannot stay for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.servers import serving

pytestmark = pytest.mark.slow

LENGTH = 200_000
HEAD = f"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    with serving(database_url, WEB_CONCURRENCY="1") as url:
        yield url


@contextmanager
def refused(url: str) -> Iterator[socket.socket]:
    """A connection on which the answer is on its way, to a request of which half was sent."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10) as connection:
        connection.sendall(HEAD + b"x" * (LENGTH // 2))
        time.sleep(0.3)
        yield connection


def _all_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_who_goes_on_sending_finds_the_answer_nevertheless(url: str) -> None:
    with refused(url) as connection:
        connection.sendall(b"x" * (LENGTH // 4))
        time.sleep(0.3)
        connection.sendall(b"x" * (LENGTH // 4))
        answer = _all_of(connection)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in answer


def test_who_sends_nothing_more_is_left_alone_after_a_second(url: str) -> None:
    begun = time.monotonic()
    with refused(url) as connection:
        assert _all_of(connection).startswith(b"HTTP/1.1 401 ")
        while _takes_more(connection):
            assert time.monotonic() - begun < 3
            time.sleep(0.05)


def _takes_more(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
    except OSError:
        return False
    return True
