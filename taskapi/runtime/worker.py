"""A worker of gunicorn's that keeps slow clients and idle connections from holding it up.

It builds on how gunicorn's own gevent worker is written; what it serves is up to its subclass.
"""

from __future__ import annotations

import signal
import socket
import time
from abc import abstractmethod
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from greenlet import greenlet
from gunicorn.http import wsgi
from gunicorn.http.errors import InvalidHeader
from gunicorn.workers.ggevent import GeventWorker

from taskapi.runtime import CLOSE
from taskapi.runtime.clients import Client, Listener, Response, linger, send

LEAST_IDLE_SECONDS = 2
"""For which a connection is kept at least, though others wait for its place."""

RECENT_SECONDS = 0.5
"""A connection that was used within these has probably its next request on the way."""

_MADE_FREE = 0.1
"""The share of all places that is made free at a time."""


def name_server(name: str) -> None:
    """Set the Server header of all responses, for which gunicorn has no setting."""
    wsgi.SERVER = name  # type: ignore[attr-defined]  # the stubs leave it out


class ClientWorker(GeventWorker):
    """Gunicorn's gevent worker, with clients that it can end.

    It ends as soon as no request is in flight. The original waits for connections too that are only
    kept alive, up to `graceful_timeout`: a load balancer or a browser always has some.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients: dict[greenlet, Client] = {}

    @abstractmethod
    def prepare(self) -> None:
        """Called once, after the fork and before the first request."""

    @abstractmethod
    def tick(self) -> None:
        """Called every second or so."""

    @abstractmethod
    def application(self, address: Any) -> Any:
        """The WSGI application at an address that is listened on."""

    @abstractmethod
    def error_response(self, error: BaseException, address: Any) -> bytes:
        """The response to a request that never reached the application, or that failed there."""

    def init_process(self) -> None:
        self._told_to_end = Event()
        # gunicorn looks a setting up by a method in Python, some forty times a request.
        vars(self.cfg).update({name: one.get() for name, one in self.cfg.settings.items()})
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        # Ctrl-C reaches the whole group; the master decides what it means and tells its workers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._told_to_end.set()

    def run(self) -> None:
        """Serve until told to end, then finish what is in flight."""
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
            self._told_to_end.wait(1.0)
            if connections.full():
                self._make_room()
        for server in servers:
            server.stop_accepting()
        # Who was accepted a moment ago begins by asking the listener for its name.
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
        me = gevent.getcurrent()
        mine: Any = Client(client, self.cfg.keepalive)
        self._clients[me] = mine
        try:
            super().handle(listener, mine, addr)
        finally:
            del self._clients[me]

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """Serve a request, without the hooks, access log and files that gunicorn's own has.

        The connection is closed when a part of the request's body was left unread, after a moment
        in which the client can read the answer. Gunicorn would read the body to its end, however
        long it is, and with a fast sender nothing else would be served meanwhile.

        Raises:
            StopIteration: gunicorn's sign to close the connection.
            InvalidHeader: there is no Host, which may have been lost on the way (RFC 9112 section
                3.2).
        """
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        response, environ = wsgi.create(
            req, sock, addr, listener_name, self.cfg, response_class=Response
        )
        if "HTTP_HOST" not in environ and req.version >= (1, 1):
            raise InvalidHeader("HOST", req=req)
        environ["wsgi.multithread"] = True
        if not self.alive:
            response.force_close()
        answer: Any = response.start_response  # takes exc_info too, which the stubs do not know
        pieces = self.application(listener_name)(environ, answer)
        is_unread = bool(getattr(req.body.reader, "length", 1))
        if is_unread or environ.get(CLOSE):
            response.force_close()
        send(response, pieces)
        if is_unread:
            linger(sock)
        if response.should_close():
            raise StopIteration
        return True

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the application, or whose answer failed."""
        response = self.error_response(exc, addr)
        with suppress(OSError):
            client.sendall(response)
            linger(client)

    def timeout_ctx(self) -> Client:  # type: ignore[override]  # the stubs know no other class
        return self._clients[gevent.getcurrent()]

    def _idle_clients(self) -> list[Client]:
        """Connections that wait for a request, those first that have waited longest."""
        idle = [client for client in self._clients.values() if client.is_idle]
        return sorted(idle, key=lambda client: client.idle_since)

    def _stop_waiting_for_requests(self) -> None:
        """Close idle connections; a request that has already arrived on one is still answered.

        One that is on its way would be lost. So a connection that was just made or used is left
        open a little longer: its next answer says that it is the last.
        """
        latest = time.monotonic() - RECENT_SECONDS
        for client in self._idle_clients():
            if client.idle_since <= latest:
                client.stop_waiting()

    def _make_room(self) -> None:
        """Close some of the connections that are only kept, since others wait to be taken in."""
        latest = time.monotonic() - LEAST_IDLE_SECONDS
        for client in self._idle_clients()[: int(self.worker_connections * _MADE_FREE)]:
            if client.idle_since <= latest:
                client.stop_waiting()
