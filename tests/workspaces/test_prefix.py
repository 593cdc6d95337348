"""The prefix of a workspace: the same API with another base URL."""

from __future__ import annotations

import pytest
from support.api import Api


@pytest.mark.parametrize("path", ["/tasks", "/lists", "/labels", "/filters", "/auth/me"])
def test_the_personal_workspace_has_the_users_id(user: Api, path: str) -> None:
    user.task()
    base = f"/workspaces/{user.user_id}"
    assert user.expect(200, "GET", base + path) == user.expect(200, "GET", path)


def test_urls_in_responses_have_the_prefix(user: Api) -> None:
    base = f"/workspaces/{user.user_id}"
    created = user.send("POST", f"{base}/tasks", json={"title": "Water the plants"})
    assert created.headers["Location"] == f"{base}/tasks/{created.get_json()['id']}"
    user.task()
    page = user.send("GET", f"{base}/tasks?limit=1")
    assert page.headers["Link"].startswith(f"<{base}/tasks?limit=1&cursor=")
    problem = user.problem(404, "not_found", "GET", f"{base}//tasks")
    assert problem["detail"] == f"Not found. The path is {base}/tasks, without further slashes."


@pytest.mark.parametrize("name", ["0", "-1", "01", "abc", "9007199254740992", "٣", "7 "])
def test_an_invalid_id_is_not_found(user: Api, name: str) -> None:
    for method, path in (
        ("GET", "/tasks"),
        ("POST", "/tasks"),
        ("GET", "/auth/me"),
        ("GET", "/workspaces"),
        ("GET", "/docs"),
        ("GET", "/livez"),
    ):
        # Not by `send`: the document has this path, for each valid ID.
        address = f"/workspaces/{name}{path}"
        response = user.client.open(address, method=method, headers=user.headers)
        assert (response.status_code, response.get_json()["detail"]) == (404, "Not found.")


def test_a_missing_workspace_is_not_found(user: Api) -> None:
    path = "/workspaces/9007199254740991/tasks"
    problem = user.problem(404, "not_found", "GET", path)
    assert problem["detail"] == "Workspace not found"
    user.problem(404, "not_found", "POST", path, json={"title": "New"})


def test_the_personal_workspace_of_others_is_not_accessible(user: Api, stranger: Api) -> None:
    base, task = f"/workspaces/{user.user_id}", user.task()
    for method, path in (
        ("GET", "/tasks"),
        ("GET", f"/tasks/{task['id']}"),
        ("GET", "/search?text=x"),
    ):
        stranger.problem(403, "forbidden", method, base + path)
    stranger.problem(403, "forbidden", "POST", f"{base}/tasks", json={"title": "New"})
    stranger.problem(403, "forbidden", "DELETE", f"{base}/tasks/{task['id']}")
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
