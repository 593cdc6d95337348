"""Attacking clients of the running service, and views of its log and its database."""

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
    """A user with a session."""

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
        """The body of a refresh request."""
        return {"refresh_token": self.login["refresh_token"]}


class Route(NamedTuple):
    """An operation of the service's OpenAPI document."""

    method: str
    path: str
    body: dict[str, Any]
    """A valid body."""

    needs_token: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def client_of(service: Service) -> httpx.Client:
    """A client with one connection, so that one worker gets all its requests."""
    limits = httpx.Limits(max_connections=1)
    # There is no TLS, and loading the system's certificates takes long.
    return httpx.Client(base_url=service.url, timeout=_PATIENCE, limits=limits, verify=False)


def registered(client: httpx.Client, email: str | None = None) -> Person:
    account = {"email": email or new_email(), "password": PASSWORD}
    response = client.post("/auth/register", json=account).raise_for_status()
    return Person(account["email"], response.json())


def log_in(client: httpx.Client, email: str, password: str, **headers: str) -> httpx.Response:
    body = {"email": email, "password": password}
    return client.post("/auth/login", json=body, headers=headers)


def again(client: httpx.Client, person: Person) -> Person:
    """The same user with another session."""
    return person._replace(login=log_in(client, person.email, PASSWORD).raise_for_status().json())


def routes(client: httpx.Client) -> list[Route]:
    """All operations. IDs in their paths are 1."""
    document = client.get("/openapi.json").raise_for_status().json()
    return [
        Route(
            method.upper(),
            re.sub(r"\{\w+\}", "1", path),
            _example(call),
            {"bearer": []} in call["security"] and {} not in call["security"],
        )
        for path, calls in document["paths"].items()
        for method, call in calls.items()
    ]


def _example(call: dict[str, Any]) -> dict[str, Any]:
    """The body and the required parameters of an operation."""
    content = call.get("requestBody", {}).get("content", {})
    sent = {"json": content["application/json"]["example"]} if content else {}
    in_query = [one for one in call["parameters"] if one["in"] == "query"]
    demanded = [one["name"] for one in in_query if one.get("required")]
    return sent | ({"params": dict.fromkeys(demanded, "water")} if demanded else {})


@contextmanager
def each_worker(service: Service) -> Iterator[list[httpx.Client]]:
    """A client for each worker, connected only to that one."""
    at: dict[int, httpx.Client] = {}
    workers = service.workers()
    deadline = time.monotonic() + _PATIENCE
    with ExitStack() as stack:
        while len(at) < len(workers):
            assert time.monotonic() < deadline, "a worker takes no connection"
            client = stack.enter_context(client_of(service))
            response = client.get("/livez")
            port = response.extensions["network_stream"].get_extra_info("client_addr")[1]
            at.setdefault(_serving(workers, port), client)
        yield [at[pid] for pid in workers]


def _serving(workers: list[int], port: int) -> int:
    """The worker with the connection of a client port."""
    for pid in workers:
        connections = psutil.Process(pid).net_connections("tcp")
        if any(one.raddr and one.raddr.port == port for one in connections):
            return pid
    raise LookupError("no worker has this connection")


def exchange(service: Service, request: bytes) -> str:
    """The complete response to these bytes, after which the client stops sending."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), _PATIENCE) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The body of an error that must have this status."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == _PROBLEM
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body


def seen(response: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """The parts of a response that are the same for each request."""
    body, headers = response.json(), dict(response.headers)
    for name in ("request_id", "date", "x-request-id", "retry-after"):
        body.pop(name, None)
        headers.pop(name, None)
    return response.status_code, body, headers


def records(service: Service) -> list[dict[str, Any]]:
    """The log lines of the service. Each must be one JSON object."""
    text = service.log.read_text()
    assert text.endswith("\n")
    found = [json.loads(line) for line in text[:-1].split("\n")]
    assert all(isinstance(record, dict) for record in found)
    return found


def rows(database_url: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables."""
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
