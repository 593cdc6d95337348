"""CORS: only pages of the allowed origins can send credentials and read responses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from support.api import Api
from support.contract import Contract
from support.world import person, sql, worker
from werkzeug.test import TestResponse

from config import ConfigError, Settings
from taskapi.http.origins import EXPOSED_HEADERS

ORIGIN, OTHER_ORIGIN = "https://app.example.com", "http://localhost:5173"
LOCAL_ORIGIN = "http://[::1]:3000"
FOREIGN = [
    "null",
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.evil.example",
    "https://app.example.computer",
    "https://evil-app.example.com",
    "https://appxexample.com",
    "https://example.com",
    "https://app.example.com/",
    "https://app.example.com, https://evil.example",
    "http://localhost:51730",
    "http://1:3000",
    "file://",
    "*",
    "",
]


@pytest.fixture
def app_for_pages(settings: Settings) -> Iterator[Flask]:
    with worker(settings, cors_origins=(ORIGIN, OTHER_ORIGIN, LOCAL_ORIGIN)) as app:
        yield app


@pytest.fixture
def api(app_for_pages: Flask, user: Api, contract: Contract) -> Api:
    return person(app_for_pages, contract, user)


def _allowed(response: TestResponse) -> dict[str, str]:
    """The CORS headers of a response, without their prefix."""
    prefix = "Access-Control-"
    return {
        name.removeprefix(prefix): value
        for name, value in response.headers.items()
        if name.startswith(prefix)
    }


def _varies(response: TestResponse) -> bool:
    return "Origin" in response.headers.get("Vary", "").split(", ")


def _preflight(api: Api, origin: str, method: str, headers: str = "") -> TestResponse:
    requested = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        requested["Access-Control-Request-Headers"] = headers
    return api.client.options("/tasks/1", headers=requested)


@pytest.mark.parametrize("origin", [ORIGIN, OTHER_ORIGIN, LOCAL_ORIGIN])
def test_an_allowed_origin_can_read_responses(api: Api, origin: str) -> None:
    response = api.send("GET", "/tasks", headers={"Origin": origin})
    assert response.status_code == 200
    allowed = _allowed(response)
    exposed = allowed.pop("Expose-Headers").split(", ")
    assert set(exposed) == set(EXPOSED_HEADERS)
    assert {"ETag", "Link", "Location", "Retry-After", "X-Request-ID"} <= set(exposed)
    assert allowed == {"Allow-Origin": origin, "Allow-Credentials": "true"}
    assert _varies(response)


@pytest.mark.parametrize("origin", FOREIGN)
def test_another_origin_cannot_read_responses(api: Api, origin: str) -> None:
    for response in (
        api.send("GET", "/tasks", headers={"Origin": origin}),
        _preflight(api, origin, "PATCH", "authorization"),
    ):
        assert _allowed(response) == {}
        assert _varies(response)


def test_a_response_without_an_origin_is_not_reused_for_pages(api: Api) -> None:
    response = api.send("GET", "/tasks")
    assert _allowed(response) == {}
    assert _varies(response)


@pytest.mark.parametrize("origin", ["*", "null", "https://app.example.com"])
def test_without_allowed_origins_no_page_can_read_responses(user: Api, origin: str) -> None:
    response = user.send("GET", "/tasks", headers={"Origin": origin})
    assert _allowed(response) == {}
    assert not _varies(response)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight_allows_every_operation(api: Api, method: str) -> None:
    requested = ["authorization", "content-type", "if-match", "if-none-match", "x-request-id"]
    response = _preflight(api, ORIGIN, method, ", ".join(requested))
    assert response.status_code == 200
    allowed = _allowed(response)
    assert allowed["Allow-Origin"] == ORIGIN
    assert allowed["Allow-Credentials"] == "true"
    assert method in allowed["Allow-Methods"].split(", ")
    assert set(allowed["Allow-Headers"].split(", ")) == set(requested)
    assert allowed["Max-Age"] == "600"
    assert "*" not in "".join(allowed.values())


def test_errors_can_be_read(
    settings: Settings, api: Api, app_for_pages: Flask, contract: Contract
) -> None:
    origin = {"Origin": ORIGIN}
    anonymous = person(app_for_pages, contract)
    responses = [
        anonymous.send("GET", "/tasks", headers=origin),
        api.send("POST", "/tasks", json={}, headers=origin),
        api.send("POST", "/tasks", data="{", content_type="application/json", headers=origin),
        api.send("POST", "/tasks", data="x", content_type="text/plain", headers=origin),
        api.send("GET", "/tasks/9007199254740991", headers=origin),
        api.send("GET", "/nowhere", headers=origin),
        api.send("PUT", "/tasks", json={}, headers=origin),
    ]
    sql(settings, "ALTER TABLE tasks RENAME COLUMN title TO heading")
    try:
        responses.append(api.send("GET", "/tasks", headers=origin))
    finally:
        sql(settings, "ALTER TABLE tasks RENAME COLUMN heading TO title")
    statuses = [response.status_code for response in responses]
    assert statuses == [401, 400, 400, 415, 404, 404, 405, 500]
    for response in responses:
        assert response.mimetype == "application/problem+json"
        allowed = _allowed(response)
        assert allowed["Allow-Origin"] == ORIGIN
        assert allowed["Allow-Credentials"] == "true"
        assert _varies(response)


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "https://*",
        "https://*.com",
        "http://*.example.com",
        "capacitor://*.example.com",
        "https://*.*.example.com",
        "https://app.*.example.com",
        "https://*example.com",
        "https://a*.example.com",
        "https://user@app.example.com",
        "https://app.example.com/path",
        "app.example.com",
        "null",
        "https://",
        "file://",
        "https://app.example.com,*",
    ],
)
def test_only_complete_origins_are_valid(origins: str) -> None:
    with pytest.raises(ConfigError, match=r"^CORS_ORIGINS must list origins such as https://"):
        Settings.from_environment({"CORS_ORIGINS": origins})


def test_origins_are_read_from_the_environment(
    settings: Settings, user: Api, contract: Contract
) -> None:
    named = Settings.from_environment(
        {"CORS_ORIGINS": "https://App.example.com/ , http://[::1]:3000"}
    ).cors_origins
    with worker(settings, cors_origins=named) as app:
        for origin in (ORIGIN, LOCAL_ORIGIN):
            response = person(app, contract, user).send("GET", "/", headers={"Origin": origin})
            assert _allowed(response)["Allow-Origin"] == origin


APPS = ("capacitor://localhost", "tauri://localhost", "ionic://localhost", "chrome-extension://abc")
PREVIEWS = "https://*.example.com"


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        *((app, True) for app in APPS),
        ("https://pr-12.example.com", True),
        ("https://PR-12.example.com", True),
        ("https://example.com", False),
        ("https://.example.com", False),
        ("https://a.b.example.com", False),
        ("https://evil.example-example.com", False),
        ("https://pr-12.example.com.evil.example", False),
        ("https://evil.example/.example.com", False),
        ("https://evil.example?x.example.com", False),
        ("https://user@x.example.com", False),
        ("https://x.example.com:8443", False),
        ("http://x.example.com", False),
        ("https://xxexample.com", False),
        ("https://*.example.com", False),
        ("capacitor://localhost.evil.example", False),
        ("capacitor://evil", False),
        ("http://localhost", False),
    ],
)
def test_apps_and_preview_deployments_can_be_allowed(
    settings: Settings, user: Api, contract: Contract, origin: str, is_allowed: bool
) -> None:
    named = Settings.from_environment({"CORS_ORIGINS": ", ".join((*APPS, PREVIEWS))}).cors_origins
    with worker(settings, cors_origins=named) as app:
        response = person(app, contract, user).send("GET", "/tasks", headers={"Origin": origin})
    assert ("Allow-Origin" in _allowed(response)) == is_allowed
    assert not is_allowed or _allowed(response)["Allow-Origin"] == origin
    assert _varies(response)
