"""A proxy between the application and PostgreSQL that counts round trips and reads statements.

It parses only the client's messages of PostgreSQL's protocol, which have a type and a
length. The server responds to a Sync or a simple Query.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock, Thread

from psycopg import conninfo

_FIRST_PROTOCOL, _LAST_PROTOCOL = 3 << 16, 4 << 16
_PIECE = 65_536


@dataclass
class Traffic:
    """The traffic while it was recorded."""

    round_trips: int = 0
    statements: list[str] = field(default_factory=list)


class Wire:
    """A proxy in front of a database; see `tapped`."""

    def __init__(self, database_url: str, listener: socket.socket) -> None:
        about = conninfo.conninfo_to_dict(database_url)
        self._upstream = f"{about['host']}/.s.PGSQL.{about['port']}"
        self._listener = listener
        self._lock = Lock()
        self._watched: list[Traffic] = []
        self._threads: list[Thread] = []
        port = listener.getsockname()[1]
        # The traffic must not be encrypted.
        self.url = (
            f"postgresql://{about['user']}@127.0.0.1:{port}/{about['dbname']}"
            "?sslmode=disable&gssencmode=disable"
        )

    @contextmanager
    def watched(self) -> Iterator[Traffic]:
        """The traffic of all connections while the block runs."""
        traffic = Traffic()
        with self._lock:
            self._watched.append(traffic)
        try:
            yield traffic
        finally:
            with self._lock:
                self._watched.remove(traffic)

    def serve(self) -> None:
        """Forward connections until the listener is shut down."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = Thread(target=self._pass_on, args=[client], daemon=True)
                self._threads.append(thread)
                thread.start()

    def join(self) -> None:
        """Wait for the end of all connections, which the clients must have closed."""
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a connection is still open"

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._upstream)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = Thread(target=_pump, args=[server, client], daemon=True)
            back.start()
            messages = _Messages()
            with suppress(OSError):
                while piece := client.recv(_PIECE):
                    for kind, content in messages.of(piece):
                        self._record(kind, content)
                    server.sendall(piece)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _record(self, kind: bytes, content: bytes) -> None:
        with self._lock:
            for traffic in self._watched:
                traffic.round_trips += kind in (b"S", b"Q")
                if kind == b"Q":
                    traffic.statements.append(content.split(b"\0")[0].decode())
                if kind == b"P":  # the statement's name, then its text
                    traffic.statements.append(content.split(b"\0")[1].decode())


class _Messages:
    """Splits the client's data into messages."""

    def __init__(self) -> None:
        self._buffer = b""
        self._is_started = False

    def of(self, piece: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The messages that this piece completes, each with its type."""
        self._buffer += piece
        while True:
            head = 1 if self._is_started else 0  # the first message has no type
            if len(self._buffer) < head + 4:
                return
            end = head + struct.unpack_from(">I", self._buffer, head)[0]
            if len(self._buffer) < end:
                return
            kind, content = self._buffer[:head], self._buffer[head + 4 : end]
            self._buffer = self._buffer[end:]
            if self._is_started:
                yield kind, content
            else:  # a request for encryption or cancellation has no protocol version
                version = struct.unpack_from(">I", content)[0]
                self._is_started = _FIRST_PROTOCOL <= version < _LAST_PROTOCOL


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def tapped(database_url: str) -> Iterator[Wire]:
    """A proxy in front of a database. Its clients must have disconnected when the block ends."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        wire = Wire(database_url, listener)
        server = Thread(target=wire.serve, daemon=True)
        server.start()
        stack.callback(server.join)
        stack.callback(listener.shutdown, socket.SHUT_RDWR)
        yield wire
        wire.join()
