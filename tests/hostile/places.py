"""Places for values in requests, and what each response to a hostile one must be like."""

from __future__ import annotations

from typing import Any, NamedTuple

from support.calls import CALLS, Call
from werkzeug.test import TestResponse


class Place(NamedTuple):
    """A place for a value in a request, with its schema in the document."""

    call: Call
    name: str
    schema: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.call} {self.name}"


def places(kind: str) -> list[Place]:
    return [
        Place(call, name, schema)
        for call in CALLS
        for name, schema in call.parameters(kind).items()
    ]


def assert_rejected(response: TestResponse, codes: set[str], status: int = 400) -> dict[str, Any]:
    text = response.get_data(as_text=True)
    assert response.status_code == status, text
    assert response.mimetype == "application/problem+json"
    problem = response.get_json()
    assert problem["code"] in codes, text
    assert len(text) < 4_000
    return dict(problem)


def pointers(problem: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in problem["errors"]}


def assert_sound(response: TestResponse) -> None:
    assert response.status_code < 500 or response.get_json()["code"] == "unavailable"
    assert "X-Injected" not in response.headers
    assert "Set-Cookie" not in response.headers
    if response.status_code >= 400 and response.data:
        assert response.mimetype == "application/problem+json"
