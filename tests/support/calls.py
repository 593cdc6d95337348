"""The operations of the OpenAPI document, each with a request that succeeds.

Suites that cover the whole API take their operations, fields and parameters from here, so they
cover a new resource without a change. Factories are in `support.resources`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from flask import Flask
from support import databases
from support.api import Api
from support.contract import validator_of
from werkzeug.test import TestResponse

from taskapi import create_app

JSON = "application/json"
PERSONAL = "personal_access_token"
"""The security scheme of personal access tokens."""


@cache
def unconnected_app() -> Flask:
    """An application without a database, for use before tests run."""
    return create_app(databases.settings_for("postgresql://"))


DOCUMENT: dict[str, Any] = json.loads(unconnected_app().extensions["taskapi_openapi"]())

QUERY = {
    "text": "water",  # finds a task of `Api.task`
    "redirect_uri": "https://app.example.com/signed-in",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
}
"""A value for each required query parameter."""


class Call(NamedTuple):
    """One operation of the document."""

    method: str
    path: str
    described: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def name(self) -> str:
        """The operationId."""
        return str(self.described["operationId"])

    @property
    def is_public(self) -> bool:
        return {"bearer": []} not in self.described["security"]

    @property
    def needs_token(self) -> bool:
        return not self.is_public and {} not in self.described["security"]

    @property
    def scopes(self) -> list[str]:
        """The scopes that a personal access token needs; empty if none is accepted."""
        required = self.described["security"]
        return next((one[PERSONAL] for one in required if PERSONAL in one), [])

    @property
    def arguments(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of the body; None without a body."""
        content = self.described.get("requestBody", {}).get("content")
        return resolved(content[JSON]["schema"]) if content else None

    @property
    def example(self) -> dict[str, Any]:
        """The example of the body; empty without a body."""
        content = self.described.get("requestBody", {}).get("content", {})
        return dict(content[JSON]["example"]) if content else {}

    @property
    def required(self) -> dict[str, str]:
        """The required query parameters, each with a value that works."""
        found = [one for one in self.described["parameters"] if one["in"] == "query"]
        return {one["name"]: QUERY[one["name"]] for one in found if one.get("required")}

    @property
    def status(self) -> int:
        """The status of a successful response."""
        return int(min(self.described["responses"]))

    def response(self) -> dict[str, Any]:
        """The schema of a successful response; empty without content."""
        content = self.described["responses"][str(self.status)].get("content", {})
        return resolved(content[JSON]["schema"]) if content else {}

    def response_names(self) -> set[str]:
        """The names of all fields of a successful response, including nested objects."""
        return set(_names(self.response()))

    def parameters(self, place: str) -> dict[str, dict[str, Any]]:
        """The schemas of the parameters in `path`, `query` or `header`, by name."""
        found = [one for one in self.described["parameters"] if one["in"] == place]
        return {one["name"]: one["schema"] for one in found}


@dataclass
class Request:
    """A request that succeeds, for tests that change one part of it."""

    call: Call
    arguments: dict[str, object]
    body: dict[str, Any] | None = None
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.call.path.format(**self.arguments)

    def send(self, person: Api, **changes: Any) -> TestResponse:
        """Send it; `changes` replace arguments of the test client."""
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
        """The body with this text as the value of a member."""
        rest = {other: kept for other, kept in (self.body or {}).items() if other != name}
        separator = b", " if rest else b""
        head = json.dumps(rest).encode()[:-1]
        return head + separator + json.dumps(name).encode() + b": " + value + b"}"


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a `$ref` references, also inside `oneOf`."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][name] if name else schema
    if "oneOf" in found:
        return found | {"oneOf": [resolved(one) for one in found["oneOf"]]}
    return found


def _names(schema: dict[str, Any]) -> Iterator[str]:
    for name, below in resolved(schema).get("properties", {}).items():
        yield name
        yield from _names(below)


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Whether the document allows a value."""
    return validator_of(schema, DOCUMENT).is_valid(value)


def _all_calls() -> Iterator[Call]:
    for path, operations in DOCUMENT["paths"].items():
        for method, described in operations.items():
            yield Call(method.upper(), path, described)


CALLS = list(_all_calls())
BY_NAME = {call.name: call for call in CALLS}

LISTINGS = [
    call for call in CALLS if call.method == "GET" and call.needs_token and not call.arguments
]
"""Operations that together return all data of the caller: lists and the account."""


def everything_of(person: Api) -> list[Any]:
    """All data of a user, to compare it before and after requests of others."""
    found = []
    for call in LISTINGS:
        response = person.send("GET", call.path, query_string=call.required)
        assert response.status_code == 200, response.get_data(as_text=True)
        found.append((call.name, response.get_json(), response.headers.get("ETag")))
    return found
