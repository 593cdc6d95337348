"""Response headers for browsers and caches."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from support.api import PASSWORD, Api

AUTH_CALLS = [
    ("POST", "/auth/register", {"email": "ada", "password": ""}),
    ("POST", "/auth/login", {"email": "nobody@example.com", "password": PASSWORD}),
    ("POST", "/auth/refresh", {"refresh_token": "x"}),
    ("POST", "/auth/password", {"current_password": "x" * 8, "new_password": "x" * 8}),
    ("POST", "/auth/delete", {"password": "wrong password"}),
    ("GET", "/auth/me", None),
    ("GET", "/auth/sessions", None),
    ("DELETE", "/auth/sessions", None),
    ("DELETE", "/auth/sessions/1", None),
    ("GET", "/auth/nowhere", None),
    ("GET", "/auth/login", None),
    ("POST", "/auth/logout", None),
]


@pytest.mark.parametrize(("method", "path", "body"), AUTH_CALLS)
def test_account_responses_are_not_cached(
    user: Api, method: str, path: str, body: dict[str, str] | None
) -> None:
    response = user.send(method, path, json=body)
    assert response.headers.getlist("Cache-Control") == ["no-store"]


def test_responses_with_tokens_are_not_cached(user: Api, anonymous: Api) -> None:
    body = {"email": user.email, "password": PASSWORD}
    logged_in = anonymous.send("POST", "/auth/login", json=body)
    body = {"refresh_token": user.login["refresh_token"]}
    refreshed = anonymous.send("POST", "/auth/refresh", json=body)
    for response in (logged_in, refreshed):
        assert response.status_code == 200
        assert response.headers.getlist("Cache-Control") == ["no-store"]


def test_tasks_are_cached_privately_and_revalidated(user: Api) -> None:
    path = f"/tasks/{user.task()['id']}"
    read = [user.send("GET", path), user.send("GET", "/tasks")]
    known = [
        user.send("GET", response.request.path, headers={"If-None-Match": response.headers["ETag"]})
        for response in read
    ]
    changed = [
        user.send("PATCH", path, json={"title": "Water the cactus"}),
        user.send("PUT", path, json={"title": "Water the fern"}),
        user.send("POST", "/tasks", json={"title": "Water the roses"}),
        user.send("PATCH", path, json={"title": "Too late"}, headers={"If-Match": '"0"'}),
    ]
    responses = [*read, *known, *changed]
    statuses = [response.status_code for response in responses]
    assert statuses == [200, 200, 304, 304, 200, 200, 201, 412]
    for response in responses:
        assert response.headers.getlist("Cache-Control") == ["private, no-cache"]


def test_a_404_is_not_cached(user: Api, stranger: Api) -> None:
    theirs = stranger.task()["id"]
    responses = [
        user.send("GET", "/tasks/9007199254740991"),
        user.send("GET", f"/tasks/{theirs}"),
        user.send("GET", "/tasks", headers={"Authorization": ""}),
        user.send("POST", "/tasks", json={}),
        user.send("PUT", "/tasks", json={}),
    ]
    assert [response.status_code for response in responses] == [404, 403, 401, 400, 405]
    for response in responses:
        assert response.headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/readyz", "/problems/forbidden", "/nowhere", "/openapi.json"]
)
def test_no_response_can_be_interpreted_as_another_type(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert response.headers["Content-Type"] in ("application/json", "application/problem+json")


def test_tasks_cannot_be_interpreted_as_another_type(user: Api) -> None:
    task = user.task(title="<script>alert(1)</script>")
    for response in (
        user.send("GET", "/tasks"),
        user.send("GET", f"/tasks/{task['id']}"),
        user.send("DELETE", f"/tasks/{task['id']}"),
        user.client.options("/tasks"),
    ):
        assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]


@pytest.mark.parametrize("page", ["/docs", "/redoc", "/verify-email", "/reset-password"])
def test_pages_have_their_own_headers(client: FlaskClient, page: str) -> None:
    response = client.get(page)
    assert response.headers.getlist("Cache-Control") == ["no-cache"]
    assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_assets_of_the_pages_are_cached_for_long(client: FlaskClient) -> None:
    scripts = re.findall(r'src="([^"]+\.js)"', client.get("/docs").get_data(as_text=True))
    assert scripts
    for script in scripts:
        response = client.get(script)
        assert response.status_code == 200
        assert response.headers.getlist("Cache-Control") == ["max-age=31536000, public, immutable"]
        assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"]
