"""A proxy whose connections can be slow, stalled or cut."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from enum import Enum, auto
from threading import Event, Lock, Thread
from typing import NamedTuple

_PIECE = 65_536
_PATIENCE = 10


class Moment(Enum):
    """The point at which a connection is cut."""

    BEFORE = auto()
    """Only what was sent before arrives."""
    SENT = auto()
    """The data arrives, and the connection is closed at once."""
    UNANSWERED = auto()
    """The data arrives and the response is lost."""
    HALF_ANSWERED = auto()
    """The data arrives and half of the response is lost."""


class Cut(NamedTuple):
    """A cut at the first data sent to the server that contains these bytes."""

    at: bytes
    moment: Moment


class Proxy:
    """A proxy in front of a server; see `proxied`."""

    def __init__(self, upstream: tuple[str, int] | str, listener: socket.socket) -> None:
        self._upstream = upstream
        self._listener = listener
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._flows = Event()
        self._flows.set()
        self._cut: Cut | None = None
        self.was_cut = Event()
        self.port: int = listener.getsockname()[1]
        self.connect_seconds = 0.0
        """The delay of a new connection."""

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Hold all data back while the block runs, and pass it on afterwards."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    def cut_once(self, cut: Cut) -> None:
        """Cut the next connection that reaches this point."""
        self.was_cut.clear()
        self._cut = cut

    def drop_all(self) -> None:
        """Close all connections."""
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Forward connections until the listener is shut down."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                Thread(target=self._pass_on, args=[client], daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        time.sleep(self.connect_seconds)
        is_path = isinstance(self._upstream, str)
        family = socket.AF_UNIX if is_path else socket.AF_INET
        with client, socket.socket(family) as server, self._registered(client, server):
            server.connect(self._upstream)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(client, server, self._flows)
            back = Thread(target=link.pass_answers, daemon=True)
            back.start()
            with suppress(OSError):
                while piece := client.recv(_PIECE):
                    self._flows.wait()
                    cut = self._take(piece)
                    if cut:
                        link.cut(piece, cut)
                        break
                    server.sendall(piece)
            link.end()
            back.join(_PATIENCE)

    def _take(self, piece: bytes) -> Cut | None:
        """The cut that matches this data. Only one connection gets it."""
        with self._lock:
            cut = self._cut
            if cut is None or cut.at not in piece:
                return None
            self._cut = None
            self.was_cut.set()
            return cut

    @contextmanager
    def _registered(self, *sockets: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.update(sockets)
        try:
            with suppress(OSError):
                yield
        finally:
            with self._lock:
                self._open.difference_update(sockets)


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket, flows: Event) -> None:
        self._client = client
        self._server = server
        self._flows = flows
        self._share_of_answer = 1.0
        self._answered = Event()

    def pass_answers(self) -> None:
        """Forward the server's data, as far as the cut allows."""
        with suppress(OSError):
            while piece := self._server.recv(_PIECE):
                self._flows.wait()
                # Read once: the client may get here while the previous response is forwarded.
                share = self._share_of_answer
                self._client.sendall(piece[: int(len(piece) * share)])
                if share < 1:
                    break
        self._answered.set()
        self.end()

    def cut(self, piece: bytes, cut: Cut) -> None:
        """Send the part that should arrive, handle its response, and close the connection."""
        if cut.moment is Moment.BEFORE:
            self._server.sendall(piece[: piece.index(cut.at)])
            return
        if cut.moment is not Moment.SENT:
            self._share_of_answer = 0.5 if cut.moment is Moment.HALF_ANSWERED else 0.0
        self._server.sendall(piece)
        if cut.moment is not Moment.SENT:
            assert self._answered.wait(_PATIENCE)

    def end(self) -> None:
        for one in (self._client, self._server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(upstream: tuple[str, int] | str) -> Iterator[Proxy]:
    """A proxy in front of a server: a host and a port, or the path of a socket."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=128)) as listener:
        proxy = Proxy(upstream, listener)
        server = Thread(target=proxy.serve, daemon=True)
        server.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join(_PATIENCE)
            proxy.drop_all()
