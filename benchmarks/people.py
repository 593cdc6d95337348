"""The users of the benchmark: accounts with tokens and tasks, and the SQL of their requests."""

from __future__ import annotations

from typing import Any, NamedTuple
from unittest.mock import patch

from flask import Flask

from benchmarks.databases import Cluster, settings_for
from taskapi import create_app
from taskapi.auth.passwords import hash_password
from taskapi.db import database
from taskapi.identity import Caller, issue_access_token

PASSWORD = "correct horse battery"

CALLS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "get": ("GET", "/tasks/{id}", None),
    "list": ("GET", "/tasks?limit=20", None),
    "create": ("POST", "/tasks", {"title": "A new task", "description": "Made to measure."}),
    "update": (
        "PUT",
        "/tasks/{id}",
        {"title": "A task", "description": "Changed to measure.", "is_completed": True},
    ),
}
"""A measured request: method, path and body."""


class Account(NamedTuple):
    """A user of the benchmark, in one workspace."""

    user_id: int
    email: str
    session_id: int
    task_ids: list[int]
    shared_id: int | None
    shared_task_ids: list[int]
    token: str = ""
    base: str = ""
    """The prefix of the paths in the workspace."""

    def in_shared_workspace(self) -> Account:
        """The same user in a workspace with two other members."""
        return self._replace(task_ids=self.shared_task_ids, base=f"/workspaces/{self.shared_id}")


class World(NamedTuple):
    """The accounts of one database. Writers and readers are different accounts."""

    database: str
    readers: list[Account]
    updaters: list[Account]
    creators: list[Account]

    def shared(self) -> World:
        """The same accounts in shared workspaces."""
        groups = (self.readers, self.updaters, self.creators)
        return World(
            self.database, *([one.in_shared_workspace() for one in some] for some in groups)
        )


def hashed_password(url: str) -> str:
    """The hash of `PASSWORD` at the cost of production."""
    with create_app(settings_for(url)).app_context():
        return hash_password(PASSWORD, "benchmark")


def world(cluster: Cluster, name: str) -> World:
    """The accounts with sessions of a filled database, with tokens."""
    accounts = [Account(*row) for row in cluster.execute(_ACCOUNTS, name)]
    with create_app(settings_for(cluster.url_of(name))).app_context():
        accounts = [
            one._replace(token=issue_access_token(Caller.of(one.user_id, one.session_id)))
            for one in accounts
        ]
    return World(name, accounts[:200], accounts[200:400], accounts[400:])


def recorded(cluster: Cluster, filled: World) -> dict[str, dict[str, Any]]:
    """The only statement of each request, with its parameters and columns.

    `more` is the next page of the list.

    Raises:
        RuntimeError: a request sends no statement or several.
    """
    cluster.create("recorded", filled.database)
    app = create_app(settings_for(cluster.url_of("recorded")))
    someone = filled.readers[0]
    found = {
        name: _statement_of(app, someone, method, path.format(id=someone.task_ids[0]), body)
        for name, (method, path, body) in CALLS.items()
    }
    headers = {"Authorization": f"Bearer {someone.token}"}
    page = app.test_client().get("/tasks?limit=5", headers=headers).get_json()
    path = f"/tasks?limit=20&cursor={page['next_cursor']}"
    found["more"] = _statement_of(app, someone, "GET", path, None)
    return found


def _statement_of(
    app: Flask, someone: Account, method: str, path: str, body: dict[str, Any] | None
) -> dict[str, Any]:
    sent = []

    def rows(statement: database.Statement, **parameters: Any) -> list[database.Row]:
        sent.append((statement, parameters))
        return original(statement, **parameters)

    original = database.rows
    headers = {"Authorization": f"Bearer {someone.token}"}
    with patch.object(database, "rows", rows):
        answer = app.test_client().open(path, method=method, json=body, headers=headers)
    if answer.status_code >= 300 or len(sent) != 1:
        raise RuntimeError(f"{method} {path}: {answer.status}, {len(sent)} statements")
    statement, parameters = sent[0]
    compiled = statement.compiled(parameters)
    return {
        "sql": compiled.sql.decode(),
        "names": compiled.names,
        "parameters": compiled.defaults | parameters,
        "columns": statement.columns,
    }


_ACCOUNTS = """
SELECT users.id, users.email, sessions.id, array(
    SELECT tasks.id FROM tasks WHERE tasks.workspace_id = users.id ORDER BY tasks.id DESC LIMIT 20),
    shared.id, array(
    SELECT tasks.id FROM tasks WHERE tasks.workspace_id = shared.id ORDER BY tasks.id DESC LIMIT 20)
FROM users JOIN sessions ON sessions.user_id = users.id
LEFT JOIN workspaces shared ON shared.owner_id = users.id AND shared.id <> users.id
ORDER BY users.id LIMIT 500
"""
