"""The calls of the OpenAPI document, each filled in so that it works, and the places in them.

A new call, field or parameter is found here by itself; only a new argument of a path, or a field
that no example could stand for, needs a line in `ARGUMENTS` or `FIELDS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from support.api import PASSWORD, Api, new_email
from werkzeug.test import TestResponse

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
JSON = "application/json"


def _other_session(person: Api) -> int:
    person.again()
    sessions = person.expect(200, "GET", "/auth/sessions?limit=1")["sessions"]
    return int(sessions[0]["id"])


ARGUMENTS: dict[str, Callable[[Api], object]] = {
    "list_id": lambda person: person.expect(201, "POST", "/lists", json={"name": "a"})["id"],
    "label_id": lambda person: person.label()["id"],
    "filter_id": lambda person: person.filter()["id"],
    "task_id": lambda person: person.recurring()["id"],
    "session_id": _other_session,
    "code": lambda person: "not_found",
}
"""For each argument of a path: makes what it may name."""

QUERY = {"text": "water"}
"""For each parameter of a query that must be given: what finds a task of `Api.task`."""

FIELDS: dict[str, Callable[[Api], object]] = {
    "email": lambda person: person.email,
    "register email": lambda person: new_email(),
    "password": lambda person: PASSWORD,
    "current_password": lambda person: PASSWORD,
    "new_password": lambda person: PASSWORD,
    "refresh_token": lambda person: person.login["refresh_token"],
    "create_label name": lambda person: f"Label of {new_email()}",
    "update_label name": lambda person: f"Label of {new_email()}",
    "into": lambda person: person.label()["id"],
}
"""For each field, of one operation or of any, whose value only the test knows: gives it."""


class Call(NamedTuple):
    """One operation of the document."""

    method: str
    path: str
    described: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_public(self) -> bool:
        return {"bearer": []} not in self.described["security"]

    @property
    def needs_token(self) -> bool:
        return self.described["security"] == [{"bearer": []}]

    @property
    def arguments(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of the body; None when the call takes none."""
        content = self.described.get("requestBody", {}).get("content")
        return resolved(content[JSON]["schema"]) if content else None

    @property
    def required(self) -> dict[str, str]:
        """The parameters of the query that must be given, and what for each will do."""
        found = [one for one in self.described["parameters"] if one["in"] == "query"]
        return {one["name"]: QUERY[one["name"]] for one in found if one.get("required")}

    def answer(self) -> dict[str, Any]:
        """The schema of a success; empty when it has no content."""
        status = min(self.described["responses"])
        content = self.described["responses"][status].get("content", {})
        return resolved(content[JSON]["schema"]) if content else {}

    def parameters(self, place: str) -> dict[str, dict[str, Any]]:
        """The schemas of the parameters that stand in a place, by name."""
        found = [one for one in self.described["parameters"] if one["in"] == place]
        return {one["name"]: one["schema"] for one in found}


@dataclass
class Request:
    """A request that works as it is, to be spoilt in one place."""

    call: Call
    arguments: dict[str, object]
    body: dict[str, Any] | None = None
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.call.path.format(**self.arguments)

    def send(self, person: Api, **changes: Any) -> TestResponse:
        """Send it; `changes` are the test client's, in place of what would be sent."""
        sent: dict[str, Any] = {"headers": self.headers, "query_string": self.query}
        changes = self._with_required(changes)
        if self.body is not None:
            sent |= {"data": json.dumps(self.body), "content_type": JSON}
        return person.send(self.call.method, self.path, **sent | changes)

    def _with_required(self, changes: dict[str, Any]) -> dict[str, Any]:
        query = changes.get("query_string", self.query)
        if isinstance(query, dict):
            return changes | {"query_string": self.call.required | query}
        given = {part.partition("=")[0] for part in query.split("&")}
        more = [
            f"{name}={value}" for name, value in self.call.required.items() if name not in given
        ]
        return changes | {"query_string": "&".join([*([query] if query else []), *more])}

    def body_with(self, name: str, value: bytes) -> bytes:
        """The body, with this text as the value of a member."""
        rest = {other: kept for other, kept in (self.body or {}).items() if other != name}
        separator = b", " if rest else b""
        head = json.dumps(rest).encode()[:-1]
        return head + separator + json.dumps(name).encode() + b": " + value + b"}"


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema itself, where a reference to it may stand, and of alternatives each."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][name] if name else schema
    if "oneOf" in found:
        return found | {"oneOf": [resolved(one) for one in found["oneOf"]]}
    return found


def takes(schema: dict[str, Any], value: Any) -> bool:
    """Whether the document allows a value."""
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(schema, format_checker=checker).is_valid(value)


def all_calls() -> Iterator[Call]:
    """Every operation of the document."""
    for path, operations in DOCUMENT["paths"].items():
        for method, described in operations.items():
            yield Call(method.upper(), path, described)


def filled_in(call: Call, person: Api) -> Request:
    """A request of this person's that does what the call is for."""
    values = {}
    for name in call.arguments:
        assert name in ARGUMENTS, f"nothing is known to stand for {name} in {call.path}"
        values[name] = ARGUMENTS[name](person)
    body = None
    if call.body:
        example = call.described["requestBody"]["content"][JSON]["example"]
        body = {name: _field(call, name, example[name], person) for name in example}
    return Request(call, values, body)


def _field(call: Call, name: str, example: object, person: Api) -> object:
    make = FIELDS.get(f"{call.described['operationId']} {name}") or FIELDS.get(name)
    return make(person) if make else example


CALLS = list(all_calls())
