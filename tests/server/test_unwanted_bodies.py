"""An error before the body was read: the client receives it and cannot stay connected for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from support.servers import serving

pytestmark = pytest.mark.processes

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
    """Headers and body are sent separately. The next request reuses the connection if possible."""
    content = b'{"title": "x"}'.ljust(size)
    return client.post(path, content=content, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("size", [14, 10_000, 256 * 1024])
def test_a_missing_token_returns_401_before_the_body_is_read(
    client: httpx.Client, size: int
) -> None:
    for _ in range(50):
        response = _post(client, "/tasks", size)
        assert response.status_code == 401
        assert response.headers["Connection"] == "close"
        assert client.get("/livez").headers["Connection"] == "keep-alive"


def test_a_body_that_is_too_large_returns_413(client: httpx.Client) -> None:
    for _ in range(20):
        assert _post(client, "/auth/login", 900_000).status_code == 413
        assert client.get("/livez").status_code == 200


@contextmanager
def refused(url: str) -> Iterator[socket.socket]:
    """A connection with a response to a request whose body is half sent."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10) as connection:
        connection.sendall(HEAD + b"x" * (LENGTH // 2))
        time.sleep(0.3)
        yield connection


def _all_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_client_that_keeps_sending_receives_the_response(url: str) -> None:
    with refused(url) as connection:
        connection.sendall(b"x" * (LENGTH // 4))
        time.sleep(0.3)
        connection.sendall(b"x" * (LENGTH // 4))
        response = _all_of(connection)
        assert response.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in response


def test_a_client_that_stops_sending_is_closed_after_a_moment(url: str) -> None:
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
