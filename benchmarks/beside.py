"""Load beside a measurement: idle connections and logins."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any

from benchmarks.databases import ROOT
from benchmarks.people import PASSWORD, Account
from benchmarks.servers import Server

IDLE_CONNECTIONS = 1_000
LOGIN_CLIENTS = 50

_AT_ONCE = 50
_PATIENCE = 30


def allow_many_files() -> None:
    """Raise the limit of open files for this process and its children."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def idle_connections(server: Server, someone: Account) -> Iterator[dict[str, Any]]:
    """Clients that sent one request and keep their connections; `lost` counts broken ones."""
    request = (
        f"GET /tasks/{someone.task_ids[0]} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: Bearer {someone.token}\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), _PATIENCE))
            for _ in range(IDLE_CONNECTIONS)
        ]
        found = {"lost": _unanswered(clients, request)}
        yield found
        found["lost"] += _unanswered(clients, request)


@contextmanager
def logins(server: Server, people: Sequence[Account], seconds: int) -> Iterator[dict[str, Any]]:
    """Clients that log in without pause. `logins` are their results, `trees` their processes."""
    command = [sys.executable, "-m", "benchmarks.logins", str(server.port), str(seconds), PASSWORD]
    emails = [person.email for person in people[:LOGIN_CLIENTS]]
    with subprocess.Popen([*command, *emails], cwd=ROOT, stdout=subprocess.PIPE) as clients:
        found: dict[str, Any] = {"trees": {"clients": clients.pid}}
        try:
            yield found
            output, _ = clients.communicate(timeout=seconds + 2 * _PATIENCE)
        except BaseException:
            clients.kill()
            raise
    found["logins"] = _by_status(json.loads(output))


def _unanswered(clients: Sequence[socket.socket], request: bytes) -> int:
    """The number of connections that no longer respond."""
    failed = 0
    for first in range(0, len(clients), _AT_ONCE):
        some = clients[first : first + _AT_ONCE]
        for client in some:
            with suppress(OSError):
                client.sendall(request)
        failed += sum(not _is_answered(client) for client in some)
    return failed


def _is_answered(client: socket.socket) -> bool:
    response = HTTPResponse(client)
    try:
        response.begin()
        response.read()
    except (OSError, HTTPException):
        return False
    return response.status == HTTPStatus.OK


def _by_status(attempts: list[tuple[int, float]]) -> dict[str, dict[str, float]]:
    """For each status the number of attempts, and their median and maximum in seconds."""
    times: dict[int, list[float]] = {}
    for status, seconds in attempts:
        times.setdefault(status, []).append(seconds)
    return {
        str(status): {
            "number": len(found),
            "median": sorted(found)[len(found) // 2],
            "slowest": max(found),
        }
        for status, found in sorted(times.items())
    }
