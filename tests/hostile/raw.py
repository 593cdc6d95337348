"""Raw HTTP requests, and the responses on their connection."""

from __future__ import annotations

import json
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

PATIENCE = 20


class Answer(NamedTuple):
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        return dict(json.loads(self.body))


class Conversation(NamedTuple):
    """All responses on a connection, and whether the server closed it."""

    responses: list[Answer]
    is_closed: bool

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.responses]


def talk(
    url: str, *pieces: bytes, is_ended: bool = False, patience: float = PATIENCE
) -> Conversation:
    """The responses to these bytes, until the connection is closed or a timeout ends.

    Args:
        is_ended: whether the client closes its sending side.
    """
    address = urlsplit(url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=patience) as wire:
        try:
            for piece in pieces:
                wire.sendall(piece)
            if is_ended:
                wire.shutdown(socket.SHUT_WR)
            while piece := wire.recv(65_536):
                received += piece
        except TimeoutError:
            return Conversation(_responses(received), is_closed=False)
        except ConnectionError:
            pass
    return Conversation(_responses(received), is_closed=True)


def _responses(received: bytes) -> list[Answer]:
    found = []
    while received:
        head, separator, rest = received.partition(b"\r\n\r\n")
        assert separator, f"not an answer of HTTP/1.1: {received[:200]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status = first.split(" ")[:2]
        assert version in ("HTTP/1.0", "HTTP/1.1")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), "a header came twice"
        length = int(headers.get("content-length", "0"))
        assert len(rest) >= length, "an answer was cut off"
        found.append(Answer(int(status), headers, rest[:length]))
        received = rest[length:]
    return found


def written(
    person: httpx.Client,
    title: str,
    *lines: str,
    start: str = "POST /tasks HTTP/1.1",
    length: bool = True,
    body: bytes | None = None,
) -> bytes:
    """A request of a user that creates a task, with these header lines."""
    content = json.dumps({"title": title}).encode() if body is None else body
    head = [
        start,
        "Host: localhost",
        f"Authorization: {person.headers['Authorization']}",
        "Content-Type: application/json",
        *([f"Content-Length: {len(content)}"] if length else []),
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + content


def titles(person: httpx.Client) -> list[str]:
    """The titles of a user's tasks in the order of creation."""
    return [task["title"] for task in person.get("/tasks?sort=created_at").json()["tasks"]]
