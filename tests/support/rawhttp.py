"""Requests as bytes, for clients that use little CPU time."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from support.api import PASSWORD

LARGEST = "/tasks?limit=1000"


class Person(NamedTuple):
    """A user and some of the user's tasks."""

    email: str
    token: str
    task_ids: list[int]


def request(
    method: str, path: str, token: str = "", body: dict[str, Any] | None = None, **headers: str
) -> bytes:
    """A whole request."""
    content = json.dumps(body) if body is not None else ""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if content:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + content).encode()


def _list(person: Person) -> bytes:
    return request("GET", "/tasks?limit=20", person.token)


def _get(person: Person) -> bytes:
    return request("GET", f"/tasks/{random.choice(person.task_ids)}", person.token)


def create(person: Person, title: str = "A new task") -> bytes:
    body = {"title": title, "description": "Made under load."}
    return request("POST", "/tasks", person.token, body, Idempotency_Key=str(uuid.uuid4()))


def _patch(person: Person) -> bytes:
    path, body = f"/tasks/{random.choice(person.task_ids)}", {"description": str(uuid.uuid4())}
    return request("PATCH", path, person.token, body)


def _login(person: Person) -> bytes:
    return request("POST", "/auth/login", body={"email": person.email, "password": PASSWORD})


_KINDS = {"list": _list, "get": _get, "create": create, "patch": _patch, "login": _login}


class Mix:
    """Random requests of users.

    Args:
        weights: how often each kind is made, beside the others.
    """

    def __init__(self, people: Sequence[Person], weights: dict[str, int]) -> None:
        self._people = people
        self._kinds = [kind for kind, weight in weights.items() for _ in range(weight)]

    def next(self) -> tuple[str, bytes]:
        """What kind of request it is, and the request."""
        kind = random.choice(self._kinds)
        return kind, _KINDS[kind](random.choice(self._people))
