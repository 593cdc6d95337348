"""A gunicorn worker that slow clients and idle connections do not block.

It depends on the internals of gunicorn's gevent worker. Subclasses define what it serves.
"""

from __future__ import annotations

import re
import signal
import socket
import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from greenlet import greenlet
from gunicorn.http import wsgi
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine
from gunicorn.workers.ggevent import GeventWorker

from taskapi.runtime import CLOSE
from taskapi.runtime.clients import Chunks, Client, Listener, Response, linger, send

LEAST_IDLE_SECONDS = 2
"""The shortest time for which an idle connection stays open, even if others wait."""

RECENT_SECONDS = 0.5
"""Within this time after a response, the client's next request is probably on its way."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?")

_CLOSED_SHARE = 0.1
"""The share of connections that is closed at a time to make room for new ones."""


class ClientWorker(GeventWorker):
    """gunicorn's gevent worker, with control over its clients.

    It ends as soon as no request is in progress. The original also waits for idle connections, up
    to `graceful_timeout`, and load balancers and browsers always have some.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients: dict[greenlet, Client] = {}

    @abstractmethod
    def prepare(self) -> None:
        """Called once, after the fork and before the first request."""

    @abstractmethod
    def tick(self) -> None:
        """Called about every second."""

    @abstractmethod
    def application(self, address: Any) -> Any:
        """The WSGI application for a listening address."""

    @abstractmethod
    def error_response(
        self, error: BaseException, address: Any, origin: Callable[[], str]
    ) -> bytes:
        """The response to a malformed request, or to one that failed in the application.

        Args:
            origin: returns the Origin of the request.
        """

    def init_process(self) -> None:
        self._ending = Event()
        # gunicorn reads a setting by a method in Python, about forty times per request.
        vars(self.cfg).update({name: one.get() for name, one in self.cfg.settings.items()})
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        # Ctrl-C reaches the whole process group. Only the master reacts to it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._ending.set()

    def run(self) -> None:
        """Serve until the worker must end, then finish requests in progress."""
        self.prepare()
        connections = Pool(self.worker_connections)
        servers = [
            Listener(sock, handle=partial(self.handle, sock), spawn=connections)
            for sock in self.sockets
        ]
        for server in servers:
            server.start()
        while self.alive:
            self.notify()
            self.tick()
            self._ending.wait(1.0)
            if connections.full():
                self._make_room()
        for server in servers:
            server.stop_accepting()
        # New clients first read the listener's name, so it must still be open.
        gevent.sleep(0)
        for server in servers:
            server.close()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while not connections.join(timeout=0.1) and time.monotonic() < deadline:
            self.notify()
            self._stop_waiting_for_requests()
        if connections:
            self.log.warning("Ending with %d requests unfinished", len(connections))

    def handle(self, listener: socket.socket, client: socket.socket, addr: Any) -> None:
        current = gevent.getcurrent()
        wrapped: Any = Client(client, self.cfg.keepalive)
        self._clients[current] = wrapped
        try:
            super().handle(listener, wrapped, addr)
        finally:
            del self._clients[current]

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """Handle a request, without gunicorn's hooks, access log and file responses.

        If a part of the request's body is unread, the connection is closed, after a moment in which
        the client can read the response. gunicorn would read the whole body, of any length, and a
        fast sender would block other clients.

        Raises:
            StopIteration: the connection must be closed.
            InvalidHeader: there is no valid Host (RFC 9112 section 3.2), or Transfer-Encoding is
                not simply `chunked`.
        """
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        response, environ = wsgi.create(
            req, sock, addr, listener_name, self.cfg, response_class=Response
        )
        if not _HOST.fullmatch(environ.get("HTTP_HOST", "/" if req.version >= (1, 1) else "")):
            raise InvalidHeader("HOST", req=req)
        if "HTTP_TRANSFER_ENCODING" in environ:
            if environ["HTTP_TRANSFER_ENCODING"].lower() != "chunked":
                raise InvalidHeader("TRANSFER-ENCODING", req=req)
            req.body.reader = Chunks(req, req.unreader)
        environ["wsgi.multithread"] = True
        if not self.alive:
            response.force_close()
        start_response: Any = response.start_response  # the stubs lack exc_info
        pieces = self.application(listener_name)(environ, start_response)
        is_unread = req.body.reader.length > 0
        if is_unread or environ.get(CLOSE):
            response.force_close()
        send(response, pieces)
        if is_unread:
            linger(sock)
        if response.should_close():
            raise StopIteration
        return True

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Respond to a malformed request, or to one that failed in the application.

        Once a part of the response was sent, the connection ends instead.
        """
        is_too_large = isinstance(exc, LimitRequestLine | LimitRequestHeaders)
        headers = dict(req.headers) if req else {}
        response = self.error_response(
            exc, addr, lambda: headers.get("ORIGIN") or client.origin(receives=is_too_large)
        )
        if client.is_responding:  # a second response could not follow the first
            return
        with suppress(OSError):
            client.sendall(response)
            linger(client)

    def timeout_ctx(self) -> Any:
        """The context in which the worker waits for a request of the current client."""
        return self._clients[gevent.getcurrent()]

    def _idle_clients(self) -> list[Client]:
        """Connections that wait for a request, the longest wait first."""
        idle = [client for client in self._clients.values() if client.is_idle]
        return sorted(idle, key=lambda client: client.idle_since)

    def _stop_waiting_for_requests(self) -> None:
        """Close idle connections. Requests that have already arrived are still handled.

        A request that is on its way would be lost. Therefore connections that were just opened or
        used stay open a little longer. Their next response closes them.
        """
        latest = time.monotonic() - RECENT_SECONDS
        for client in self._idle_clients():
            if client.idle_since <= latest:
                client.stop_waiting()

    def _make_room(self) -> None:
        """Close some idle connections, because new clients wait."""
        latest = time.monotonic() - LEAST_IDLE_SECONDS
        for client in self._idle_clients()[: int(self.worker_connections * _CLOSED_SHARE)]:
            if client.idle_since <= latest:
                client.stop_waiting()
