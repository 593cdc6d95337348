"""Connections to clients: taken in, kept while they behave, and ended so that they know why."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Any

import gevent
from gevent.monkey import get_original
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http import wsgi

HEAD_SECONDS = 10
"""From a request's first byte to the end of its headers."""

SEND_SECONDS = 20
"""In which a client must accept `SEND_BYTES` of its response, or what is left of it."""

SEND_BYTES = 256 * 1024

_MAX_ACCEPT = 8
_LINGER_SECONDS = 2
_LINGER_BYTES = 8 * 1024 * 1024
_PIECE = 65_536

_plain_socket = get_original("socket", "socket")


class _TooLate(BaseException):
    """No request came on a connection, or it did not come to the end of its headers."""


class Client:
    """A connection to a client, which is also the context in which it waits for a request.

    For gunicorn it is a socket. A connection may be idle for long, but a request that has begun
    must come to its body soon, and an answer must be taken: who stalls takes somebody else's place.
    """

    is_idle = False

    def __init__(self, sock: socket.socket, idle_seconds: float) -> None:
        self.idle_since = 0.0
        self.socket = sock
        self.send = sock.send
        self._idle_seconds = idle_seconds
        self._clock: gevent.Timeout | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)

    def __enter__(self) -> None:
        self.is_idle = True
        self.idle_since = time.monotonic()
        self._start_clock(self._idle_seconds)

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        self._stop_clock()
        self.is_idle = False
        return kind is _TooLate

    def recv(self, size: int) -> bytes:
        """What has arrived; the first part of a request lets the time for its head begin."""
        data = self.socket.recv(size)
        if self.is_idle:
            self.is_idle = False
            self._stop_clock()
            self._start_clock(HEAD_SECONDS)
        return data

    def _start_clock(self, seconds: float) -> None:
        self._clock = gevent.Timeout.start_new(seconds, _TooLate)

    def _stop_clock(self) -> None:
        if self._clock:
            self._clock.close()

    def sendall(self, data: bytes) -> None:
        """Send all of it, as long as the client accepts each part in time.

        Raises:
            ConnectionResetError: it did not; gunicorn takes it for a client that is gone.
        """
        whole = memoryview(data)
        for start in range(0, len(whole), SEND_BYTES):
            with gevent.Timeout(SEND_SECONDS, ConnectionResetError):
                self.socket.sendall(whole[start : start + SEND_BYTES])

    def stop_waiting(self) -> None:
        """Close it while it is idle; a request that has already arrived is still answered."""
        # The end of the input wakes the greenlet; gevent's shutdown() makes it an error.
        with suppress(OSError):
            copy = os.dup(self.socket.fileno())
            with _plain_socket(fileno=copy) as plain:
                plain.shutdown(socket.SHUT_RD)


class Response(wsgi.Response):
    """A response whose head and body are sent together if the body is in one piece.

    That is one system call instead of two, and one packet.
    """

    def write(self, data: bytes) -> None:
        """Send a piece of the body, after the head if it was not sent yet."""
        has_no_body = self._omits_body  # type: ignore[attr-defined]  # newer than the stubs
        is_large = len(data) > _PIECE  # it would be copied
        if self.headers_sent or has_no_body or is_large or self.response_length != len(data):
            super().write(data)
            return
        lines = self.default_headers()
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        self.headers_sent = True
        self.sent = len(data)
        self.sock.sendall("".join([*lines, "\r\n"]).encode("latin-1") + data)


class Listener(StreamServer):
    """Takes connections in, each time that the event loop comes round."""

    pool: Pool

    @property
    def max_accept(self) -> int:  # type: ignore[override]  # the original only reads it
        """How many at a time.

        Workers that have little to do share what comes in when each takes one. The more clients one
        has, the longer its loop takes to come round, and newcomers would wait for seconds behind
        them. Without a bound, who has more would get ever more of them.
        """
        return min(1 + len(self.pool) // _MAX_ACCEPT, _MAX_ACCEPT)


def send(response: wsgi.Response, pieces: Any) -> None:
    """Send what the application has answered.

    Raises:
        StopIteration: it was not sent to its end; a second answer here would be none.
    """
    try:
        for piece in pieces:
            response.write(piece)
        response.close()
    except Exception:
        if response.headers_sent:
            raise StopIteration from None
        raise
    finally:
        if hasattr(pieces, "close"):
            pieces.close()


def linger(sock: Any) -> None:
    """End an answer, and for a moment read what the client still sends, before it is closed.

    To close a connection on which something is unread resets it, and the client, who is still
    sending, would lose the answer (RFC 9112 section 9.6).
    """
    with suppress(OSError, gevent.Timeout), gevent.Timeout(_LINGER_SECONDS):
        sock.shutdown(socket.SHUT_WR)
        left = _LINGER_BYTES
        while left > 0 and (piece := sock.recv(_PIECE)):
            left -= len(piece)
            gevent.sleep(0)  # a fast sender would keep the others waiting
