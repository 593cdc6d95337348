"""A client of the application that validates each response.

The status, headers and body must match the OpenAPI document.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

from flask.testing import FlaskClient
from support.contract import Contract
from support.pages import pages
from werkzeug.test import TestResponse

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


def new_email() -> str:
    return f"user{os.getpid()}-{next(_numbers)}@example.com"


def new_title(method: str) -> dict[str, Any]:
    """Arguments for a request to a task: a change, unless the method takes no body."""
    return {"json": {"title": "New"}} if method in ("PUT", "PATCH") else {}


class Api:
    """Sends requests as one user, with the user's tokens if there are any."""

    def __init__(self, client: FlaskClient, contract: Contract) -> None:
        self.client = client
        self.contract = contract
        self.base = ""
        self.email = ""
        self.login: dict[str, Any] = {}
        self.created: dict[str, Any] = {}

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.login['access_token']}"} if self.login else {}

    @property
    def user_id(self) -> int:
        return self.login["user"]["id"]

    def send(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        """The response, which must match the document."""
        kwargs["headers"] = self.headers | dict(kwargs.pop("headers", None) or {})
        # Buffered: closed as soon as it is read, as by a server.
        path = self.base + path
        response = self.client.open(path, method=method, buffered=True, **kwargs)
        self.contract.check(method, path, response)
        return response

    def expect(self, status: int, method: str, path: str, **kwargs: Any) -> Any:
        """The body of a response that must have this status."""
        response = self.send(method, path, **kwargs)
        assert response.status_code == status, response.get_data(as_text=True)
        return response.get_json() if response.data else None

    def problem(self, status: int, code: str, method: str, path: str, **kwargs: Any) -> Any:
        """The body of an error that must have this status and code."""
        body = self.expect(status, method, path, **kwargs)
        assert body["code"] == code, body
        return body

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Each page of a list of this user."""
        return pages(lambda sent: self.expect(200, "GET", path, query_string=sent), **query)

    def task(self, **values: Any) -> dict[str, Any]:
        """A new task of this user."""
        return self.expect(201, "POST", "/tasks", json={"title": "Water the plants"} | values)

    def recurring(self, **values: Any) -> dict[str, Any]:
        """A new recurring task of this user with one completed occurrence."""
        due, recurrence = {"date": "2150-01-05"}, {"rrule": "FREQ=WEEKLY"}
        task = self.task(**{"due": due, "recurrence": recurrence} | values)
        return self.expect(200, "POST", f"/tasks/{task['id']}/complete")["task"]

    def comment(self, task_id: int, text: str = "Which color?") -> dict[str, Any]:
        """A new comment of this user on a task."""
        return self.expect(201, "POST", f"/tasks/{task_id}/comments", json={"text": text})

    def label(self, **values: Any) -> dict[str, Any]:
        """A new label of this user with a unique name."""
        name = {"name": f"Label {next(_numbers)}"}
        return self.expect(201, "POST", "/labels", json=name | values)

    def list(self, **values: Any) -> dict[str, Any]:
        """A new list of this user with a unique name."""
        name = {"name": f"List {next(_numbers)}"}
        return self.expect(201, "POST", "/lists", json=name | values)

    def filter(self, **values: Any) -> dict[str, Any]:
        """A new saved filter of this user with a unique name."""
        body = {"name": f"Filter {next(_numbers)}", "query": "priority >= 3"}
        return self.expect(201, "POST", "/filters", json=body | values)

    def with_token(self, *scopes: str, **values: Any) -> Api:
        """A client of the same user with a new personal access token, as `created`."""
        body = {"name": f"Token {next(_numbers)}", "scopes": scopes} | values
        other = Api(self.client, self.contract)
        other.created = self.expect(201, "POST", "/auth/tokens", json=body)
        other.login = {**self.login, "access_token": other.created["token"]}
        return other

    def workspace(self, **members: Api) -> int:
        """The ID of a new shared workspace of this user.

        Args:
            members: other members by their roles, which may be followed by a digit.
        """
        body = {"name": f"Workspace {next(_numbers)}"}
        workspace_id = int(self.expect(201, "POST", "/workspaces", json=body)["id"])
        for name, member in members.items():
            self.invite(workspace_id, member, name.rstrip("0123456789"))
        return workspace_id

    def invite(self, workspace_id: int, member: Api, role: str) -> None:
        """Make another user a member of a workspace."""
        body = {"email": member.email, "role": role}
        sent = self.expect(201, "POST", f"/workspaces/{workspace_id}/invitations", json=body)
        token = {"token": sent["token"]}
        accepted = member.expect(200, "POST", "/invitations/accept", json=token)
        assert accepted["role"] == role

    def at(self, workspace_id: int) -> Api:
        """A client of the same session whose base URL is a workspace."""
        other = Api(self.client, self.contract)
        other.email, other.login = self.email, self.login
        other.base = f"/workspaces/{workspace_id}"
        return other

    def registered(self) -> Api:
        """This client as a new user."""
        self.email = new_email()
        body = {"email": self.email, "password": PASSWORD}
        self.login = self.expect(201, "POST", "/auth/register", json=body)
        return self

    def again(self) -> Api:
        """A second client of the same user with its own session."""
        other = Api(self.client, self.contract)
        other.email = self.email
        body = {"email": self.email, "password": PASSWORD}
        other.login = other.expect(200, "POST", "/auth/login", json=body)
        return other
