"""Connections to clients, with time limits, and their orderly end."""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import suppress
from typing import Any

import gevent
from gevent.monkey import get_original
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http import wsgi
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import ParseException

from taskapi.runtime import MAX_CHUNKS, SERVER
from taskapi.runtime.timer import TimeLimit

HEAD_SECONDS = 10
"""The time from a request's first byte to the end of its headers."""

SEND_SECONDS = 20
"""The time in which a client must accept `SEND_BYTES` of its response, or the rest of it."""

SEND_BYTES = 256 * 1024

_CHUNKS_AT_A_TIME = 32
_MAX_TRAILER_BYTES = 8_190
_MAX_ACCEPT = 8
_ORIGIN = re.compile(rb"\r\nOrigin:[ \t]*([!-~]+)[ \t]*\r\n", re.IGNORECASE)
_ORIGIN_SECONDS = 1
_MAX_REST_OF_HEAD = 65_536
_LINGER_SECONDS = 2
_LINGER_BYTES = 8 * 1024 * 1024
_PIECE = 65_536

_plain_socket = get_original("socket", "socket")


class _TooLate(BaseException):
    """No request arrived on a connection, or its headers were not complete in time."""


class Client:
    """A connection to a client, and the context manager in which it waits for a request.

    For gunicorn it is a socket. A connection may be idle for long. But once a request has begun,
    its headers must be complete soon, and the client must accept the response, because slow clients
    occupy places of others.
    """

    is_idle = False
    is_responding = False
    """Whether a part of the response to the last request was sent."""

    def __init__(self, sock: socket.socket, idle_seconds: float) -> None:
        self.idle_since = 0.0
        self.socket = sock
        self.send = sock.send
        self._idle_seconds = idle_seconds
        self._clock: TimeLimit | None = None
        self._head: bytearray | None = None
        """What was received of a request's headers, until they are parsed."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)

    def __enter__(self) -> None:
        self.is_idle = True
        self.is_responding = False
        self._head = bytearray()
        self.idle_since = time.monotonic()
        self._start_clock(self._idle_seconds)

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        self._stop_clock()
        self.is_idle = False
        if kind is None:
            self._head = None
        return kind is _TooLate

    def recv(self, size: int) -> bytes:
        """Receive data. The first data of a request starts the time limit of its headers."""
        data = self.socket.recv(size)
        if self.is_idle:
            self.is_idle = False
            self._stop_clock()
            self._start_clock(HEAD_SECONDS)
        if self._head is not None:
            self._head += data
        return data

    def origin(self, *, receives: bool) -> str:
        """The Origin of a request whose headers could not be parsed; empty if it is not found.

        Args:
            receives: whether to look for it in what the client still sends.
        """
        head = self._head or bytearray()
        most = len(head) + _MAX_REST_OF_HEAD
        if receives:
            with suppress(OSError, gevent.Timeout), gevent.Timeout(_ORIGIN_SECONDS):
                while b"\r\n\r\n" not in head and len(head) < most:
                    piece = self.socket.recv(_PIECE)
                    if not piece:
                        break
                    head += piece
        found = _ORIGIN.search(head)
        return found[1].decode() if found else ""

    def _start_clock(self, seconds: float) -> None:
        self._clock = TimeLimit(seconds, _TooLate)

    def _stop_clock(self) -> None:
        if self._clock:
            self._clock.stop()

    def sendall(self, data: bytes) -> None:
        """Send all data, as long as the client accepts each part in time.

        Raises:
            ConnectionResetError: it did not. gunicorn treats this as a client that disconnected.
        """
        self.is_responding = True
        whole = memoryview(data)
        for start in range(0, len(whole), SEND_BYTES):
            part = whole[start : start + SEND_BYTES]
            with TimeLimit(SEND_SECONDS, ConnectionResetError):
                while part:  # gevent's own sendall looks up the size of the buffer each time
                    part = part[self.socket.send(part) :]

    def stop_waiting(self) -> None:
        """Close an idle connection. A request that has already arrived is still handled."""
        # The end of the input wakes the greenlet. gevent's shutdown() would raise an error there.
        with suppress(OSError):
            copy = os.dup(self.socket.fileno())
            with _plain_socket(fileno=copy) as plain:
                plain.shutdown(socket.SHUT_RD)


class Chunks(ChunkedReader):
    """Reads a chunked body (RFC 9112 section 7.1), whose number of chunks is limited.

    The framing of small chunks takes more bytes and time than their content, and a fast sender
    would block other clients.
    """

    def __init__(self, req: Any, unreader: Any) -> None:
        super().__init__(req, unreader)
        self.limit_trailer_section = _MAX_TRAILER_BYTES
        self._left = MAX_CHUNKS

    @property
    def length(self) -> int:
        """Zero if the body has been read to its end, as for gunicorn's other reader."""
        return 0 if self.parser is None else 1

    def read(self, size: int) -> bytes:
        """Read up to this many bytes.

        Raises:
            OSError: the body is malformed or incomplete, or has more than `MAX_CHUNKS` chunks.
        """
        try:
            data: bytes = super().read(size)
        except ParseException:
            raise OSError("malformed chunk") from None
        return data

    def parse_chunk_size(self, unreader: Any, data: bytes | None = None) -> Any:
        """The size of the next chunk, and what was received of it."""
        self._left -= 1
        if self._left < 0:
            raise OSError("too many chunks")
        if self._left % _CHUNKS_AT_A_TIME == 0:
            gevent.sleep(0)
        return super().parse_chunk_size(unreader, data)


class Response(wsgi.Response):
    """A response whose head and body are sent together if the body is in one piece.

    That is one system call instead of two, and one packet.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.version = SERVER

    def write(self, data: bytes) -> None:
        """Send a piece of the body, after the head if it was not sent yet."""
        is_large = len(data) > _PIECE  # it would be copied
        if self.headers_sent or is_large or self.response_length != len(data):
            super().write(data)
            return
        lines = self.default_headers()
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        self.headers_sent = True
        self.sent = len(data)
        self.sock.sendall("".join([*lines, "\r\n"]).encode("latin-1") + data)


class Listener(StreamServer):
    """Accepts connections in each round of the event loop."""

    pool: Pool

    max_accept = 1
    """The number of connections to accept in a round.

    One at a time distributes connections evenly among workers with few clients. With many clients a
    round of the event loop takes longer, and new clients would wait for seconds. Without a limit, a
    busy worker would accept ever more.
    """

    def do_read(self) -> Any:
        self.max_accept = min(1 + len(self.pool) // _MAX_ACCEPT, _MAX_ACCEPT)
        return super().do_read()


def send(response: wsgi.Response, pieces: Any) -> None:
    """Send the response of the application."""
    try:
        for piece in pieces:
            response.write(piece)
        response.close()
    finally:
        if hasattr(pieces, "close"):
            pieces.close()


def linger(sock: Any) -> None:
    """End the response, and read for a moment what the client still sends.

    Closing a connection with unread data resets it, and a client that is still sending would lose
    the response (RFC 9112 section 9.6).
    """
    with suppress(OSError, gevent.Timeout), gevent.Timeout(_LINGER_SECONDS):
        sock.shutdown(socket.SHUT_WR)
        left = _LINGER_BYTES
        while left > 0 and (piece := sock.recv(_PIECE)):
            left -= len(piece)
            gevent.sleep(0)  # otherwise a fast sender would block other clients
