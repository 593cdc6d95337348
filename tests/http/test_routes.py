"""All routes at once, new ones included: what each declares, requires and rejects.

The tests walk the application's URL map. Path arguments and bodies come from `support.resources`.
"""

from __future__ import annotations

import ast
import inspect
import statistics
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from support.api import Api
from support.calls import BY_NAME, Call, everything_of, unconnected_app
from support.resources import body_of, create, is_owned
from werkzeug.routing import Rule

from taskapi.http.operations import Operation, operation_of

NO_OPERATION = {
    "docs.swagger_ui",
    "docs.redoc",
    "docs.asset",
    "service.get_openapi",
    "oidc.callback",
    "account.verify_email",
    "account.undo_email",
    "account.reset_password",
}
"""Views that are not operations of the API: pages, their assets, the document, and an address that
providers send browsers to, with parameters of their own.
"""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Route(NamedTuple):
    """One method of one URL."""

    method: str
    rule: Rule
    endpoint: str
    operation: Operation | None

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"

    @property
    def call(self) -> Call | None:
        """Its operation in the OpenAPI document."""
        return BY_NAME[self.endpoint.rpartition(".")[2]] if self.operation else None

    @property
    def is_owned(self) -> bool:
        """Whether its path references a row of a user."""
        return any(map(is_owned, self.rule.arguments))


def _routes() -> list[Route]:
    app = unconnected_app()
    return [
        Route(method, rule, rule.endpoint, operation_of(app.view_functions[rule.endpoint]))
        for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule)
        for method in sorted(rule.methods or ())
        if method not in ("HEAD", "OPTIONS")
    ]


ROUTES = _routes()
CALLS = [route for route in ROUTES if route.operation]


def _address(rule: Rule, owner: Api) -> str:
    """The path with the IDs of the owner's rows."""
    values: dict[str, object] = {}
    for name in sorted(rule.arguments, key=rule.rule.index):
        values[name] = create(name, owner, values)
    built = rule.build(values, append_unknown=False)
    assert built
    call = next((route.call for route in ROUTES if route.rule is rule), None)
    required = "".join(f"{name}={value}&" for name, value in call.required.items()) if call else ""
    return f"{built[1]}?{required}"


def _body(route: Route | None, sender: Api) -> dict[str, Any]:
    """A valid body."""
    return {"json": body_of(route.call, sender)} if route and route.call and route.call.body else {}


def _allowed(path: str) -> set[str]:
    return {method for route in ROUTES if route.rule.rule == path for method in route.rule.methods}


def test_each_view_is_an_operation_or_an_exception() -> None:
    undeclared = {route.endpoint for route in ROUTES if not route.operation}
    assert undeclared == NO_OPERATION


def test_the_public_operations_are_these() -> None:
    public = {str(route) for route in CALLS if route.operation and route.operation.is_public}
    assert public == {
        "GET /",
        "GET /livez",
        "GET /readyz",
        "GET /problems/<code>",
        "POST /auth/register",
        "POST /auth/login",
        "POST /auth/refresh",
        "POST /auth/logout",
        "POST /auth/email/verify",
        "POST /auth/email/undo",
        "POST /auth/password/forgot",
        "POST /auth/password/reset",
        "GET /auth/oidc/providers",
        "GET /auth/oidc/<provider>/authorize",
        "POST /auth/oidc/token",
    }


@pytest.mark.parametrize("route", [r for r in CALLS if not r.operation.is_public], ids=str)
def test_an_operation_requires_a_token_of_a_live_session(
    anonymous: Api, user: Api, route: Route
) -> None:
    address = _address(route.rule, user)
    sent = _body(route, user)
    response = anonymous.send(route.method, address, **sent)
    assert response.status_code == 401
    assert response.get_json()["detail"] == "Authentication required"
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="taskapi"'
    user.expect(200, "POST", "/auth/logout")
    response = user.send(route.method, address, **sent)
    assert response.status_code == 401
    assert response.get_json()["detail"] == "Invalid token"
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="taskapi", error="invalid_token"'


@pytest.mark.parametrize("route", [route for route in CALLS if route.is_owned], ids=str)
def test_another_users_resource_returns_403_or_404(user: Api, stranger: Api, route: Route) -> None:
    address, path = _address(route.rule, user), route.rule.rule
    before = everything_of(user)
    others = {other.method: other for other in CALLS if other.rule.rule == path}
    for method in METHODS:
        response = stranger.send(method, address, **_body(others.get(method), stranger))
        assert response.status_code in ({403, 404} if method in _allowed(path) else {405})
    assert everything_of(user) == before
    # The URL is valid: its owner's request succeeds.
    response = user.send(route.method, address, **_body(route, user))
    assert response.status_code == route.operation.status


@pytest.mark.parametrize("route", CALLS, ids=str)
def test_an_unknown_query_parameter_returns_400(user: Api, route: Route) -> None:
    address = _address(route.rule, user)
    sent = _body(route, user)
    before = everything_of(user)
    problem = user.problem(400, "invalid_input", route.method, f"{address}nonsense=1", **sent)
    assert [error["pointer"] for error in problem["errors"]] == ["nonsense"]
    assert everything_of(user) == before


@pytest.mark.parametrize("path", sorted({route.rule.rule for route in ROUTES}))
def test_a_url_lists_its_methods(user: Api, path: str) -> None:
    rule = next(route.rule for route in ROUTES if route.rule.rule == path)
    address, allowed = _address(rule, user), _allowed(path)
    options = user.send("OPTIONS", address)
    assert (options.status_code, options.data) == (200, b"")
    assert set(options.allow) == allowed
    for method in {*METHODS, "TRACE", "PURGE"} - allowed:
        response = user.send(method, address)
        assert response.status_code == 405
        assert set(response.allow) == allowed
        if method != "HEAD":
            assert response.get_json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("route", [r for r in ROUTES if r.method == "GET"], ids=str)
def test_head_returns_what_get_does_without_the_body(user: Api, route: Route) -> None:
    address = _address(route.rule, user)
    full, bare = user.send("GET", address), user.send("HEAD", address)
    assert full.status_code in (200, 404)
    assert bare.status_code == full.status_code
    assert full.data
    assert not bare.data
    for name in ("Content-Type", "ETag", "Cache-Control", "Link"):
        assert bare.headers.get(name) == full.headers.get(name)
    assert bare.headers.get("Content-Length") in (None, full.headers["Content-Length"])


@pytest.mark.parametrize(
    "address",
    [
        "/nothing",
        "/Tasks",
        "/tasks/",
        "/tasks//1",
        "/tasks/1/",
        "/tasks/1/2",
        "/auth",
        "/auth/",
        "/auth/login/",
        "/docs/",
        "/static/app.js",
        "/favicon.ico",
        "/%00",
        "/%FF",
        "/%F0%9F%8C%B1",
        "/tasks%0d%0aX-Injected:1",
        "/" + "a" * 5_000,
    ],
    ids=lambda address: address[:40],
)
def test_an_unknown_url_returns_404_for_every_method(user: Api, address: str) -> None:
    for method in METHODS:
        response = user.send(method, address)
        assert response.status_code == 404
        assert response.mimetype == "application/problem+json"
        assert "X-Injected" not in response.headers
        if method != "HEAD":
            assert response.get_json()["code"] == "not_found"


def _lines_of_bodies(app: Flask) -> Iterator[tuple[str, int]]:
    for route in ROUTES:
        source = inspect.getsource(inspect.unwrap(app.view_functions[route.endpoint]))
        (view,) = ast.parse(textwrap.dedent(source)).body
        assert isinstance(view, ast.FunctionDef)
        assert ast.get_docstring(view), f"{route.endpoint} has no docstring"
        yield route.endpoint, (view.end_lineno or 0) - (view.body[0].end_lineno or 0)


def test_views_are_short(app: Flask) -> None:
    lines = dict(_lines_of_bodies(app))
    assert {endpoint: number for endpoint, number in lines.items() if number > 15} == {}
    assert statistics.median(lines.values()) <= 6


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/tasks/", "/tasks"),
        ("//tasks", "/tasks"),
        ("/tasks//", "/tasks"),
        ("/tasks/5/", "/tasks/5"),
        ("/auth//login/", "/auth/login"),
        ("/docs/", "/docs"),
        ("///", "/"),
    ],
)
def test_a_path_with_further_slashes_is_not_found_and_says_where_to_look(
    user: Api, path: str, meant: str
) -> None:
    for method in ("GET", "POST", "DELETE"):
        response = user.client.open(method=method, environ_overrides={"PATH_INFO": path})
        assert response.status_code == 404
        assert f"The path is {meant}," in response.get_json()["detail"]


@pytest.mark.parametrize(
    "path", ["/nowhere/", "//nowhere", "/tasks/1/2/3/", "/nowhere", "/-//tasks"]
)
def test_a_path_like_no_other_is_just_not_found(user: Api, path: str) -> None:
    response = user.client.get(environ_overrides={"PATH_INFO": path})
    assert (response.status_code, response.get_json()["detail"]) == (404, "Not found.")
