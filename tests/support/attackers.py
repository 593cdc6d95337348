"""Hostile clients of the running service, and helpers to inspect its responses."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg
from psycopg import sql
from support.api import PASSWORD, new_email
from support.servers import Service

_PATIENCE = 20
_PROBLEM = "application/problem+json"


class Person(NamedTuple):
    """A user who is logged in."""

    email: str
    login: dict[str, Any]

    @property
    def user_id(self) -> int:
        return int(self.login["user"]["id"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.login['access_token']}"}

    @property
    def refresh_token(self) -> dict[str, str]:
        """The body that refreshes."""
        return {"refresh_token": self.login["refresh_token"]}


class Route(NamedTuple):
    """An operation of the service's document."""

    method: str
    path: str
    body: dict[str, Any]
    """The arguments of a request with a valid body."""

    needs_token: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def client_of(service: Service) -> httpx.Client:
    """A client with one connection, and therefore one worker."""
    limits = httpx.Limits(max_connections=1)
    # Certificates take longer to load than a test does, and nothing is encrypted here.
    return httpx.Client(base_url=service.url, timeout=_PATIENCE, limits=limits, verify=False)


def registered(client: httpx.Client, email: str | None = None) -> Person:
    account = {"email": email or new_email(), "password": PASSWORD}
    answer = client.post("/auth/register", json=account).raise_for_status()
    return Person(account["email"], answer.json())


def log_in(client: httpx.Client, email: str, password: str, **headers: str) -> httpx.Response:
    body = {"email": email, "password": password}
    return client.post("/auth/login", json=body, headers=headers)


def again(client: httpx.Client, person: Person) -> Person:
    """The same person with a session of its own."""
    return person._replace(login=log_in(client, person.email, PASSWORD).raise_for_status().json())


def routes(client: httpx.Client) -> list[Route]:
    """All operations, with the ID 1 in their paths."""
    document = client.get("/openapi.json").raise_for_status().json()
    return [
        Route(
            method.upper(),
            re.sub(r"\{\w+\}", "1", path),
            _example(call),
            call.get("security") == [{"bearer": []}],
        )
        for path, calls in document["paths"].items()
        for method, call in calls.items()
    ]


def _example(call: dict[str, Any]) -> dict[str, Any]:
    """The required arguments of an operation: body and parameters."""
    content = call.get("requestBody", {}).get("content", {})
    sent = {"json": content["application/json"]["example"]} if content else {}
    in_query = [one for one in call["parameters"] if one["in"] == "query"]
    demanded = [one["name"] for one in in_query if one.get("required")]
    return sent | ({"params": dict.fromkeys(demanded, "water")} if demanded else {})


@contextmanager
def each_worker(service: Service) -> Iterator[list[httpx.Client]]:
    """A client for each worker, connected to it and to no other."""
    at: dict[int, httpx.Client] = {}
    workers = service.workers()
    deadline = time.monotonic() + _PATIENCE
    with ExitStack() as stack:
        while len(at) < len(workers):
            assert time.monotonic() < deadline, "a worker takes no connection"
            client = stack.enter_context(client_of(service))
            answer = client.get("/livez")
            port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
            at.setdefault(_serving(workers, port), client)
        yield [at[pid] for pid in workers]


def _serving(workers: list[int], port: int) -> int:
    """The worker that has the connection from a client's port."""
    for pid in workers:
        connections = psutil.Process(pid).net_connections("tcp")
        if any(one.raddr and one.raddr.port == port for one in connections):
            return pid
    raise LookupError("no worker has this connection")


def exchange(service: Service, request: bytes) -> str:
    """The whole response to these bytes, after which the client sends nothing more."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), _PATIENCE) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The body of an error, which must have this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == _PROBLEM
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return body


def seen(answer: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """A response without the parts that differ between requests."""
    body, headers = answer.json(), dict(answer.headers)
    for name in ("request_id", "date", "x-request-id", "retry-after"):
        body.pop(name, None)
        headers.pop(name, None)
    return answer.status_code, body, headers


def records(service: Service) -> list[dict[str, Any]]:
    """The lines that the service has logged; each must be one JSON object."""
    text = service.log.read_text()
    assert text.endswith("\n")
    found = [json.loads(line) for line in text[:-1].split("\n")]
    assert all(isinstance(record, dict) for record in found)
    return found


def rows(database_url: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, as they are stored."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        tables = "SELECT relname FROM pg_stat_user_tables ORDER BY relname"
        return {
            name: [
                row
                for (row,) in connection.execute(
                    sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY t::text").format(
                        sql.Identifier(name)
                    )
                )
            ]
            for (name,) in connection.execute(tables).fetchall()
        }
