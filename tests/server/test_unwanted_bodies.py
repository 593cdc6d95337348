"""Errors before the body was read: the client gets them, and cannot occupy the connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from support.servers import serving

pytestmark = pytest.mark.slow

LENGTH = 200_000
HEAD = f"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    with serving(database_url, WEB_CONCURRENCY="1") as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


def _post(client: httpx.Client, path: str, size: int) -> httpx.Response:
    """Head and body are sent apart, and the next request goes on the same connection if it may."""
    content = b'{"title": "x"}'.ljust(size)
    return client.post(path, content=content, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("size", [14, 10_000, 256 * 1024])
def test_without_a_token_authentication_is_required(client: httpx.Client, size: int) -> None:
    for _ in range(50):
        answer = _post(client, "/tasks", size)
        assert answer.status_code == 401
        assert answer.headers["Connection"] == "close"
        assert client.get("/livez").headers["Connection"] == "keep-alive"


def test_a_body_that_is_too_large_gets_413(client: httpx.Client) -> None:
    for _ in range(20):
        assert _post(client, "/auth/login", 900_000).status_code == 413
        assert client.get("/livez").status_code == 200


@contextmanager
def refused(url: str) -> Iterator[socket.socket]:
    """A connection on which the answer is on its way, to a request of which half was sent."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10) as connection:
        connection.sendall(HEAD + b"x" * (LENGTH // 2))
        time.sleep(0.3)
        yield connection


def _all_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_client_that_keeps_sending_gets_the_response(url: str) -> None:
    with refused(url) as connection:
        connection.sendall(b"x" * (LENGTH // 4))
        time.sleep(0.3)
        connection.sendall(b"x" * (LENGTH // 4))
        answer = _all_of(connection)
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in answer


def test_a_silent_client_is_closed_after_a_moment(url: str) -> None:
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
