"""The links of the OpenAPI document work."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from support.api import Api
from support.calls import BY_NAME, CALLS, Call
from support.resources import filled_in
from werkzeug.test import TestResponse


class Followed(NamedTuple):
    """A link from one operation to another."""

    source: Call
    target: Call
    parameters: dict[str, str]
    body: dict[str, str]

    def __str__(self) -> str:
        return f"{self.source} - {self.target}"


LINKS = [
    Followed(
        call, BY_NAME[link["operationId"]], link.get("parameters", {}), link.get("requestBody", {})
    )
    for call in CALLS
    for response in call.described["responses"].values()
    for link in response.get("links", {}).values()
]


def _value(expression: str, response: TestResponse) -> Any:
    """The value of a runtime expression."""
    if expression.startswith("$response.header."):
        return response.headers[expression.removeprefix("$response.header.")]
    found = response.get_json()
    for name in expression.removeprefix("$response.body#/").split("/"):
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def test_the_links_of_a_new_resource_work() -> None:
    led_to = {link.target.method for link in LINKS if str(link.source) == "POST /tasks"}
    assert led_to == {"GET", "PUT", "PATCH", "DELETE"}


@pytest.mark.parametrize("link", LINKS, ids=str)
def test_a_link_works(user: Api, link: Followed) -> None:
    source = filled_in(link.source, user)
    for _ in range(2):
        user.task()
        user.again()
        for call in CALLS:
            if link.source.method == "GET" and str(call) == f"POST {link.source.path}":
                filled_in(call, user, source.arguments).send(user)
    if "limit" in link.source.parameters("query"):
        source.query = "limit=1"
    response = source.send(user)
    given = {name: _value(expression, response) for name, expression in link.parameters.items()}
    following = filled_in(link.target, user)
    following.arguments |= {n: given[n] for n in link.target.arguments}
    following.headers = {n: given[n] for n in link.target.parameters("header") if n in given}
    query = {name: given[name] for name in link.target.parameters("query") if name in given}
    body = {name: _value(expression, response) for name, expression in link.body.items()}
    following.body = {**(following.body or {}), **body} or None
    answer = following.send(user, query_string=query)
    assert 200 <= answer.status_code < 300
