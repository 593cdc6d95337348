"""What gunicorn does differently for taskapi; `gunicorn.conf.py` puts it in place.

Imported after gevent has patched the standard library, and by nothing but gunicorn's processes.
"""

from __future__ import annotations

import logging
import logging.config
import os
import resource
import secrets
import signal
import socket
import tempfile
import time
import traceback
from contextlib import suppress
from email.utils import formatdate
from functools import cache, lru_cache, partial
from http import HTTPStatus
from types import FrameType
from typing import Any

import gevent
import orjson
from gevent.event import Event
from gevent.monkey import get_original
from gevent.pool import Pool
from gevent.server import StreamServer
from greenlet import greenlet
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import wsgi
from gunicorn.http.errors import (  # type: ignore[attr-defined]  # two are newer than the stubs
    InvalidHeader,
    InvalidResponseHeader,
    InvalidResponseHeaderName,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.ggevent import GeventWorker
from psycopg import waiting

from config import Settings
from taskapi.core import errors
from taskapi.core.logging import logging_config
from taskapi.observe import observe


class MalformedRequest(errors.Problem):
    """What arrived is not a request of HTTP/1.1, or uses a part of it that is not served here."""

    status = 400
    code = "malformed_request"
    title = "Malformed request"
    detail = "This is not a well-formed HTTP request."


class UriTooLong(errors.Problem):
    """The request's first line is longer than any valid one."""

    status = 414
    code = "uri_too_long"
    title = "URI too long"
    detail = "The address is longer than any that is served here."


class HeadersTooLarge(errors.Problem):
    """The request has too many headers, or one that is too long."""

    status = 431
    code = "headers_too_large"
    title = "Headers too large"
    detail = "The request has too many headers, or one that is too long."


HEAD_SECONDS = 10
"""From a request's first byte to the end of its headers."""

SEND_SECONDS = 20
"""In which a client must take some of its answer."""

LEAST_IDLE_SECONDS = 2
"""For which a connection is kept at least, though others wait for its place."""

_MAX_ACCEPT = 8
_MADE_FREE = 0.1
"""The share of all places that is made free at a time."""

_LINGER_SECONDS = 2
_LINGER_BYTES = 1024 * 1024
_PIECE = 65_536
RECENT_SECONDS = 0.5
"""A connection that was used within these has probably its next request on the way."""

_plain_socket = get_original("socket", "socket")
_PROBLEMS = {
    InvalidResponseHeader: errors.InternalError,
    InvalidResponseHeaderName: errors.InternalError,
    LimitRequestLine: UriTooLong,
    LimitRequestHeaders: HeadersTooLarge,
    ParseException: MalformedRequest,
    BaseException: errors.InternalError,
}
"""What each kind of gunicorn's errors is to the client; the first that fits counts."""


def addresses(settings: Settings) -> list[str]:
    """Where to listen, as gunicorn writes it: for everybody, and where metrics are shown."""
    found = [(settings.host or "", settings.port)]
    if settings.metrics_port:
        found.append((settings.metrics_host, settings.metrics_port))
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found]


@cache
def metrics_folder(parent: str | None) -> str:
    """A new folder in which the workers of this process count; they inherit its name."""
    folder = tempfile.mkdtemp(prefix="taskapi-metrics-", dir=parent)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return folder


def _problem_answer(problem: errors.Problem, request_id: str) -> bytes:
    """The whole answer, made without the application."""
    body = orjson.dumps(problem.body(request_id))
    head = (
        f"HTTP/1.1 {problem.status} {problem.title}\r\nServer: taskapi\r\n"
        f"Date: {http_date()}\r\nConnection: close\r\n"
        "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n"
        f"X-Content-Type-Options: nosniff\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def allow_open_files(number: int) -> None:
    """Raise this process's limit to so many, or as near as the system lets it."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        number = min(number, most)
    if resource.RLIM_INFINITY != allowed < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, most))


def http_date() -> str:
    """The present as a Date header has it, made once a second."""
    return _http_date(int(time.time()))


@lru_cache(1)
def _http_date(now: int) -> str:
    return formatdate(now, usegmt=True)


class RootLogger(Logger):
    """Gunicorn's own log, in the format and at the level of the application's."""

    settings: Settings

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        logging.config.dictConfig(logging_config(self.settings))
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        # Its lines below that are of gunicorn's making, and quote what clients sent.
        self.error_log.setLevel(max(self.error_log.level, logging.INFO))


class Response(wsgi.Response):
    """An answer whose head and body, when that is in one piece, are sent together.

    One system call instead of two, and one packet.
    """

    def write(self, data: bytes) -> None:
        """Send a piece of the body, after the head if that was not sent yet."""
        has_no_body = self._omits_body  # type: ignore[attr-defined]  # newer than the stubs
        if self.headers_sent or has_no_body or self.response_length != len(data):
            super().write(data)
            return
        lines = self.default_headers()
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        whole = "".join([*lines, "\r\n"]).encode("latin-1") + data
        self.headers_sent = True
        self.sent = len(data)
        self.sock.sendall(whole)


class _TooLate(BaseException):
    """No request came on a connection, or it did not come to the end of its headers."""


class _Client:
    """A connection to a client, which is also the context in which it waits for a request.

    For gunicorn it is a socket. A connection may be idle for long, but a request that has begun
    must come to its body soon, and an answer must be taken: who stalls takes somebody else's place.
    """

    is_idle = False

    def __init__(self, sock: socket.socket, idle_seconds: float) -> None:
        self.idle_since = 0.0
        self.socket = sock
        self.send = sock.send
        timer, self._throw = gevent.get_hub().loop.timer, gevent.getcurrent().throw
        # As gevent.Timeout does it, which makes itself and a timer anew each time. They are used by
        # again(): a timer that was stopped would with start() go on with the time that it had left.
        self._idle_clock = timer(idle_seconds, idle_seconds)
        self._head_clock = timer(HEAD_SECONDS, HEAD_SECONDS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)

    def __enter__(self) -> None:
        self.is_idle = True
        self.idle_since = time.monotonic()
        self._idle_clock.again(self._throw, _TooLate)

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        self._idle_clock.stop()
        self._head_clock.stop()
        self.is_idle = False
        return kind is _TooLate

    def recv(self, size: int) -> bytes:
        """What has arrived; the first part of a request lets the time for its head begin."""
        data = self.socket.recv(size)
        if self.is_idle:
            self.is_idle = False
            self._idle_clock.stop()
            self._head_clock.again(self._throw, _TooLate)
        return data

    def sendall(self, data: bytes) -> None:
        """Send all of it, as long as the client takes some of it now and then.

        Raises:
            ConnectionResetError: it did not; gunicorn takes it for a client that is gone.
        """
        rest = memoryview(data)
        while rest:
            with gevent.Timeout(SEND_SECONDS, ConnectionResetError):
                rest = rest[self.socket.send(rest) :]

    def stop_waiting(self) -> None:
        """Close it while it is idle; a request that has already arrived is still answered."""
        # The end of the input wakes the greenlet; gevent's shutdown() makes it an error.
        with suppress(OSError):
            copy = os.dup(self.socket.fileno())
            with _plain_socket(fileno=copy) as plain:
                plain.shutdown(socket.SHUT_RD)


class _Listener(StreamServer):
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


class Worker(GeventWorker):
    """Gunicorn's gevent worker, made for this one application.

    It ends as soon as no request is in flight. The original waits for connections too that are only
    kept alive, up to `graceful_timeout`: a load balancer or a browser always has some.
    """

    settings: Settings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clients: dict[greenlet, _Client] = {}

    def init_process(self) -> None:
        self._told_to_end = Event()
        # Gunicorn finds a setting by a method in Python, some forty times a request.
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
        _refuse_a_blocking_database()
        application: Any = self.wsgi
        self._metrics = observe(application, self.settings)
        connections = Pool(self.worker_connections)
        servers = [
            _Listener(sock, handle=partial(self.handle, sock), spawn=connections)
            for sock in self.sockets
        ]
        for server in servers:
            server.start()
        while self.alive:
            self.notify()
            if self._metrics:
                self._metrics.sample()
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
        mine: Any = _Client(client, self.cfg.keepalive)
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
        pieces = self._application(listener_name)(environ, answer)
        is_unread = bool(getattr(req.body.reader, "length", 1))
        if is_unread:
            response.force_close()
        _send(response, pieces)
        if is_unread:
            _linger(sock)
        if response.should_close():
            raise StopIteration
        return True

    def _application(self, address: Any) -> Any:
        """What answers at an address that is listened on."""
        if self._metrics and address[1] == self._metrics.port:
            return self._metrics.wsgi
        return self.wsgi

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the application, or whose answer failed.

        The log has the error's kind and place. Its text, which gunicorn's own has, quotes what the
        client sent: a token, or a password.
        """
        problem = next(kind for error, kind in _PROBLEMS.items() if isinstance(exc, error))()
        request_id = secrets.token_hex(12)
        about = {"error": type(exc).__name__, "address": addr[0] if addr else None}
        about["request_id"] = request_id
        if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.warning("request_refused", extra=about)
        else:
            about["trace"] = "".join(traceback.format_tb(exc.__traceback__))
            self.log.error("failed", extra=about)
        with suppress(OSError):
            client.sendall(_problem_answer(problem, request_id))
            _linger(client)

    def timeout_ctx(self) -> _Client:  # type: ignore[override]  # the stubs know no other class
        return self._clients[gevent.getcurrent()]

    def _idle_clients(self) -> list[_Client]:
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


def _linger(sock: Any) -> None:
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


def _send(response: wsgi.Response, pieces: Any) -> None:
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


def _refuse_a_blocking_database() -> None:
    """See that psycopg was imported after gevent's patch.

    Raises:
        RuntimeError: it was not, and each query would stop the whole worker.
    """
    if waiting.wait is getattr(waiting, "wait_c", None):
        raise RuntimeError("psycopg was imported before gevent patched the standard library")
