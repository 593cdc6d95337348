"""The floor: a bare WSGI callable that serves the same requests with the same SQL.

It has no framework, limits, request IDs, log, or query for the reason of an error. It is the
minimum cost of gunicorn, gevent, psycopg, PyJWT and orjson.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
import orjson
import psycopg
from gevent.hub import Waiter, get_hub

_SETUP = orjson.loads(Path(os.environ["FLOOR"]).read_bytes())
_STATEMENTS = _SETUP["statements"]
_READ, _WRITE = 1, 2
_FIELDS = [
    "id",
    "user_id",
    "title",
    "description",
    "is_completed",
    "completed_at",
    "list_id",
    "parent_id",
    "position",
    "priority",
    "due",
    "start",
    "recurrence",
    "estimate_minutes",
    "label_ids",
    "comment_count",
    "assignee_id",
    "workspace_id",
    "version",
    "created_at",
    "updated_at",
]
_JSON = ("Content-Type", "application/json")

Answer = tuple[str, Any, str | None]


class Refused(Exception):
    """The status of a response without content."""


class Connection(psycopg.Connection[Any]):
    """Waits for the database on a persistent event watcher, as the service does."""

    def wait(
        self, gen: Generator[int, int, Any], interval: float = 0.0, timeout: float | None = None
    ) -> Any:
        watchers = self.__dict__.setdefault("watchers", {})
        try:
            events = next(gen)
            while True:
                if events not in watchers:
                    watchers[events] = get_hub().loop.io(self.pgconn.socket, events)
                get_hub().wait(watchers[events])
                events = gen.send(events)
        except StopIteration as end:
            return end.value


class Pool:
    """A pool of cursors that serves waiting requests in order."""

    def __init__(self, size: int) -> None:
        self._unused = size
        self._idle: deque[psycopg.RawCursor[Any]] = deque()
        self._waiting: deque[Waiter[psycopg.RawCursor[Any]]] = deque()

    def rows(self, statement: dict[str, Any], given: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement in its own transaction."""
        parameters = statement["parameters"] | given
        values = [parameters[name] for name in statement["names"]]
        cursor = self._take()
        try:
            return cursor.execute(statement["sql"], values, prepare=True, binary=True).fetchall()
        finally:
            if self._waiting:
                get_hub().loop.run_callback(self._waiting.popleft().switch, cursor)
            else:
                self._idle.append(cursor)

    def _take(self) -> psycopg.RawCursor[Any]:
        if self._idle:
            return self._idle.pop()
        if self._unused:
            self._unused -= 1
            connection = Connection.connect(os.environ["DATABASE_URL"], autocommit=True)
            return psycopg.RawCursor(connection)
        waiter: Waiter[psycopg.RawCursor[Any]] = Waiter()
        self._waiting.append(waiter)
        return waiter.get()


_pool = Pool(_SETUP["pool_size"])


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Handle a request (WSGI)."""
    try:
        status, payload, tag = _answer(environ)
    except Refused as refusal:
        status, payload, tag = str(refusal), None, None
    body = b"" if payload is None else orjson.dumps(payload, option=orjson.OPT_UTC_Z)
    headers = [_JSON, ("Content-Length", str(len(body)))]
    if tag:
        headers.append(("ETag", tag))
    start_response(status, headers)
    return [body]


def _answer(environ: dict[str, Any]) -> Answer:
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    if path == "/tasks" and method == "GET":
        return _list(environ, _caller(environ))
    if path == "/tasks" and method == "POST":
        return "201 Created", *_one("create", _caller(environ) | _values(environ))
    if path.startswith("/tasks/") and path[7:].isdigit():
        mine = _caller(environ) | {"id": int(path[7:])}
        if method == "GET":
            return "200 OK", *_one("get", mine)
        if method == "PUT":
            return "200 OK", *_one("update", mine | _values(environ))
    raise Refused("404 Not Found")


def _caller(environ: dict[str, Any]) -> dict[str, Any]:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme != "Bearer":
        raise Refused("401 Unauthorized")
    try:
        claims = jwt.decode(token, _SETUP["key"], algorithms=["HS256"])
        user = int(claims["sub"])
        return {
            "caller_workspace_id": user,
            "caller_user_id": user,
            "caller_session_id": claims["sid"],
        }
    except (jwt.PyJWTError, KeyError, ValueError):
        raise Refused("401 Unauthorized") from None


def _values(environ: dict[str, Any]) -> dict[str, Any]:
    try:
        body = orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        title, description = body["title"].strip(), body["description"]
        is_completed = body.get("is_completed", False)
        if 1 <= len(title) <= 255 and len(description) <= 10_000 and type(is_completed) is bool:
            return {
                "value_title": title,
                "value_description": description,
                "value_is_completed": is_completed,
            }
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise Refused("400 Bad Request")


def _one(name: str, given: dict[str, Any]) -> tuple[Any, str]:
    statement = _STATEMENTS[name]
    found = _pool.rows(statement, given)
    if not found:
        raise Refused("404 Not Found")
    task = _task(statement["columns"], found[0])
    return task, f'"{task["version"]}"'


def _task(names: list[str], values: tuple[Any, ...]) -> dict[str, Any]:
    """The JSON of a task without dues that was never moved, as in the benchmark."""
    task = dict(zip(names, values, strict=True))
    task["list_id"] = task["list_id"] or task["workspace_id"]
    task["position"] = str(task["id"] + 5 * 10**18)
    task["due"] = task["start"] = task["recurrence"] = None
    task["label_ids"] = task["label_ids"] or []
    return {name: task[name] for name in _FIELDS}


def _list(environ: dict[str, Any], caller: dict[str, Any]) -> Answer:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    limit = int(query.get("limit", 1_000))
    owner = f"{caller['caller_user_id']}."
    tags = environ.get("HTTP_IF_NONE_MATCH", "").split(",")
    known = [int(tag.strip(' "').removeprefix(owner)) for tag in tags if tag]
    place = {"limit": limit + 1, "known": known}
    statement = _STATEMENTS["more" if "cursor" in query else "list"]
    if "cursor" in query:
        place["after_id"] = int(urlsafe_b64decode(query["cursor"]))
    rows = _pool.rows(statement, caller | place)
    if not rows:
        raise Refused("401 Unauthorized")
    version, total = rows[0][:2]
    if version in known:
        return "304 Not Modified", None, f'"{owner}{version}"'
    names = statement["columns"][2:]
    tasks = [_task(names, row[2:]) for row in rows[:limit] if row[2] is not None]
    next_cursor = urlsafe_b64encode(b"%d" % tasks[-1]["id"]) if len(rows) > limit else None
    shown = {"tasks": tasks, "total": total, "next_cursor": next_cursor and next_cursor.decode()}
    return "200 OK", shown, f'"{owner}{version}"'
