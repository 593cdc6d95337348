"""A thousand clients that never finish their requests, and others beside them."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from support.servers import serving
from support.writers import person

pytestmark = [pytest.mark.security, pytest.mark.alone]

EACH = 500
OTHERS_SECONDS = 0.5
CLOSED_SECONDS = 15
DRIP_SECONDS = 1.0


class SlowClients:
    """Connections that send their requests byte by byte."""

    def __init__(self, connections: list[socket.socket]) -> None:
        self._open = connections
        self._dripped = time.monotonic()

    def go_on(self) -> None:
        """Send the next byte if it is due, and detect closed connections."""
        now = time.monotonic()
        if now > self._dripped + DRIP_SECONDS:
            self._dripped = now
            for connection in self._open:
                with suppress(OSError):
                    connection.send(b"x")
        with selectors.DefaultSelector() as selector:
            for connection in self._open:
                selector.register(connection, selectors.EVENT_READ)
            for key, _ in selector.select(0):
                if _is_closed(key.fileobj):
                    self._open.remove(key.fileobj)

    def are_all_closed(self) -> bool:
        return not self._open


def _is_closed(connection: socket.socket) -> bool:
    try:
        return not connection.recv(65_536)
    except ConnectionError:
        return True


@contextmanager
def slow_clients(url: str, heads: list[bytes]) -> Iterator[SlowClients]:
    """One connection for each of these beginnings of requests."""
    address = urlsplit(url)
    with ExitStack() as stack:
        connections = []
        for head in heads:
            connection = socket.create_connection((address.hostname, address.port), 30)
            connections.append(stack.enter_context(connection))
            connection.sendall(head)
        yield SlowClients(connections)


def _timed(call: Callable[[], httpx.Response]) -> float:
    begun = time.monotonic()
    assert call().is_success
    return time.monotonic() - begun


def test_slow_headers_and_bodies_are_closed_and_block_no_other(
    database_url: str, record_property: Callable[[str, object], None]
) -> None:
    with (
        serving(database_url, WEB_CONCURRENCY="2") as url,
        person(url) as client,
        person(url) as author,
    ):
        head = b"GET /tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
        body = (
            b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + f"Authorization: {author.headers['Authorization']}\r\n".encode()
            + b'Content-Length: 100000\r\n\r\n{"title": "'
        )
        times = []
        with slow_clients(url, [head, body] * EACH) as slow:
            begun = time.monotonic()
            while not slow.are_all_closed():
                assert time.monotonic() < begun + CLOSED_SECONDS
                times.append(_timed(lambda: client.get("/tasks")))
                times.append(_timed(lambda: client.post("/tasks", json={"title": "Quick"})))
                slow.go_on()
            closed_after = time.monotonic() - begun
        p99 = sorted(times)[len(times) * 99 // 100]
        record_property("p99 of others", f"{p99 * 1000:.0f} ms of {len(times)}")
        record_property("slow ones closed after", f"{closed_after:.1f} s")
        assert p99 < OTHERS_SECONDS
        titles = {task["title"] for task in client.get("/tasks").json()["tasks"]}
        assert titles == {"Quick"}
