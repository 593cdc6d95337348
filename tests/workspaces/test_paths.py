"""Attacks on the prefix of a workspace: paths, headers and methods that could reach another one."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hostile.raw import talk
from support import world
from support.api import Api
from support.contract import Contract
from support.servers import serving
from support.writers import person as registered
from werkzeug.test import TestResponse

from config import Settings

ORIGIN = "https://app.example.com"

NOT_SERVED = (
    "/workspaces/{a}/workspaces/{b}/tasks",
    "/workspaces/{b}/workspaces/{a}/tasks",
    "/workspaces/{a}/members/workspaces/{b}/tasks",
    "//workspaces/{b}/tasks",
    "/workspaces//{b}/tasks",
    "/workspaces/{b}//tasks",
    "/workspaces/{a}/../{b}/tasks",
    "/workspaces/{a}/tasks/../../{b}/tasks",
    "/workspaces/{b}/./tasks",
    "/workspaces/{a}/members/../../{b}/tasks",
    "/workspaces/{b};x/tasks",
    "/workspaces/{b}/tasks;x",
    "/workspaces/{b}%2ftasks/1",
    "/workspaces/%2e%2e/workspaces/{b}/tasks",
    "/workspaces/{b}\0/tasks",
    "/workspaces/ {b}/tasks",
    "/workspaces/+{b}/tasks",
    "/workspaces/{b}.0/tasks",
    "/workspaces/{a},{b}/tasks",
    "/workspaces/0x{b:x}/tasks",
    "/workspaces/\xff/tasks",
    "/workspaces/{b}\r\nX-Injected: 1/tasks",
    '/workspaces/"><script>/docs',
    "/Workspaces/{b}/tasks",
    "/WORKSPACES/{b}/TASKS",
    "/workspaces/{b}/Tasks",
    "/workspaces/{b}/",
    "/workspaces/{b}/members/",
    "/workspaces/{b}/tasks/",
)
"""Paths as the application receives them, decoded. The member's workspace is a, the other one b."""

HEADERS = (
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-URI",
    "X-Forwarded-Prefix",
    "X-Forwarded-Path",
    "X-Script-Name",
    "Script-Name",
    "Path-Info",
    "X-Workspace-ID",
    "X-Taskapi-Workspace-ID",
    "Taskapi.workspace-id",
)


@pytest.fixture
def other(stranger: Api) -> int:
    """A workspace of another user, with a task."""
    workspace_id = stranger.workspace()
    stranger.at(workspace_id).task(title="Secret")
    return workspace_id


def _raw(person: Api, method: str, path: str) -> TestResponse:
    """The response to a request with exactly this path."""
    return person.client.open(
        method=method, headers=person.headers, environ_overrides={"PATH_INFO": path}
    )


@pytest.mark.parametrize("path", NOT_SERVED)
def test_a_path_that_two_parsers_could_read_differently_is_not_found(
    user: Api, stranger: Api, other: int, path: str
) -> None:
    path = path.format(a=user.workspace(), b=other)
    for person in (user, stranger):
        for method in ("GET", "POST", "DELETE"):
            response = _raw(person, method, path)
            assert response.status_code == 404
            assert response.mimetype == "application/problem+json"
            assert response.get_json()["code"] == "not_found"
            assert "X-Injected" not in response.headers
    assert stranger.at(other).expect(200, "GET", "/tasks")["total"] == 1


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("hops", [0, 1])
def test_no_header_names_a_workspace_or_path(
    settings: Settings, contract: Contract, user: Api, stranger: Api, header: str, hops: int
) -> None:
    other = stranger.workspace()
    stranger.at(other).task()
    with world.worker(settings, trusted_proxy_hops=hops) as app:
        client = world.person(app, contract, like=user)
        task = user.task()
        for value in (f"/workspaces/{other}/tasks", f"/workspaces/{other}", str(other)):
            found = client.send("GET", "/tasks", headers={header: value})
            assert found.get_json()["tasks"] == [task]
            created = client.send("POST", "/lists", json={"name": value}, headers={header: value})
            assert created.headers["Location"].startswith("/lists/")
    assert stranger.at(other).expect(200, "GET", "/tasks")["total"] == 1


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_makes_a_read_a_write(user: Api, stranger: Api, header: str) -> None:
    shared = user.workspace(viewer=stranger)
    path = f"/tasks/{user.at(shared).task()['id']}"
    viewer = stranger.at(shared)
    for query in ({}, {"_method": "DELETE"}):
        response = viewer.send("GET", path, headers={header: "DELETE"}, query_string=query)
        assert response.status_code == (400 if query else 200)
    user.at(shared).expect(200, "GET", path)


def test_other_methods_reveal_nothing_below_a_prefix(
    anonymous: Api, user: Api, stranger: Api
) -> None:
    shared = user.workspace()
    path = f"/workspaces/{shared}/tasks/{user.at(shared).task()['id']}"
    for person, status in ((anonymous, 401), (stranger, 403), (user, 200)):
        head = person.send("HEAD", path)
        assert (head.status_code, head.data) == (status, b"")
        assert ("ETag" in head.headers) == (person is user)
        options = person.send("OPTIONS", path)
        assert (options.status_code, options.data) == (200, b"")
        assert {"GET", "PUT", "PATCH", "DELETE"} <= set(options.allow)
        for method in ("TRACE", "PROPFIND", "POST"):
            assert person.send(method, path).status_code == 405


def test_other_origins_are_the_same_below_a_prefix(settings: Settings, user: Api) -> None:
    path = f"/workspaces/{user.workspace()}/tasks"
    with world.worker(settings, cors_origins=[ORIGIN]) as app:
        for origin, is_allowed in ((ORIGIN, True), ("https://evil.example.com", False)):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            for method in ("OPTIONS", "GET"):
                response = app.test_client().open(
                    path, method=method, headers=headers | user.headers
                )
                allowed = response.headers.get("Access-Control-Allow-Origin")
                assert allowed == (origin if is_allowed else None)


@pytest.fixture(scope="module")
def service(database_url: str) -> Iterator[str]:
    with serving(database_url, WEB_CONCURRENCY="1") as url:
        yield url


@pytest.mark.processes
def test_the_server_passes_on_the_path_that_was_sent(service: str) -> None:
    """The paths and headers that servers decode, normalize or trust, as bytes to gunicorn."""
    with registered(service) as me, registered(service) as them:
        a, b = (_new_workspace(person) for person in (me, them))
        for path in (
            f"/workspaces/{a}/../{b}/tasks",
            f"/workspaces/{a}/%2e%2e/{b}/tasks",
            f"/workspaces/{a}%2f..%2f{b}/tasks",
            f"/workspaces/{a}/..%2f{b}/tasks",
            f"/workspaces/{a}\\..\\{b}/tasks",
            f"/workspaces/{b}%00/tasks",
            f"//workspaces/{b}/tasks",
            f"/workspaces/%32{b}%0d%0aX-Injected:%201/tasks",
            f"/%57orkspaces/{b}/tasks",
        ):
            assert _status(service, me, path) == 404, path
        for path in (
            f"/workspaces/{b}/tasks",
            f"/workspaces%2f{b}%2ftasks",
            f"/%77orkspaces/{b}/tasks",
            f"http://127.0.0.1/workspaces/{b}/tasks",
        ):
            assert _status(service, me, path) == 403, path
        for line in (f"SCRIPT_NAME: /workspaces/{b}", f"PATH_INFO: /workspaces/{b}/tasks"):
            assert _status(service, me, "/tasks", line) in (200, 400)
        created = me.post(
            "/tasks", json={"title": "Mine"}, headers={"SCRIPT_NAME": f"/workspaces/{b}"}
        )
        assert created.status_code == 400 or created.headers["Location"].startswith("/tasks/")
        assert them.get(f"/workspaces/{b}/tasks").json()["total"] == 0


def _new_workspace(person: httpx.Client) -> int:
    created = person.post("/workspaces", json={"name": "Shared"}).raise_for_status()
    return int(created.json()["id"])


def _status(url: str, person: httpx.Client, path: str, *lines: str) -> int:
    head = (
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: {person.headers['Authorization']}",
        "Connection: close",
        *lines,
    )
    (response,) = talk(url, "\r\n".join((*head, "", "")).encode("latin-1")).responses
    assert "x-injected" not in response.headers
    return response.status
