"""Versions: entity tags, conditional requests, and the workspace's version.

The version of a task is the workspace's version at its last change. Versions have no gaps. The
ETag of a list is the workspace's version.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from support import world
from support.api import Api, new_title

from config import Settings

WRITES = ("PUT", "PATCH", "DELETE")
JUNK = (
    *("", " ", ",", "{version}"),
    *('"{version}', '{version}"', "'{version}'", '"0{version}"'),
    *('"+{version}"', '" {version}"', '"{version}.0"', '"{version}-gzip"'),
    *('w/"{version}"', 'x"{version}"', '"{version}"x', '"{version}" "{version}"'),
    *('"*"', '"-1"', '"99999999999999999999999999"', '"\u0663"'),
    *('"9223372036854775807"', '"9223372036854775808"'),
)
"""Headers that match no version. {version} is replaced by the current one."""

MISSING = (
    *('"0{version}"', '"+{version}"', '"{version}.0"', '"{version}-gzip"', '"*"', '"-1"', '"1"'),
    *('"99999999999999999999999999"', '"9223372036854775807"', '"9223372036854775808"'),
    *('W/"{version}"', '"x", W/"{version}"'),
)
"""Well-formed lists of entity tags without the current one."""


def _tag(user: Api, address: str = "/tasks") -> str:
    return user.send("GET", address).headers["ETag"]


def _kept_version(settings: Settings, user: Api) -> int:
    found = world.sql(settings, "SELECT version FROM workspaces WHERE id = %s", user.user_id)
    return int(found[0][0])


def test_a_tasks_etag_is_its_version_in_every_response(user: Api) -> None:
    created = user.send("POST", "/tasks", json={"title": "Once"})
    address = created.headers["Location"]
    changed = user.send("PATCH", address, json={"title": "Twice"})
    replaced = user.send("PUT", address, json={"title": "Thrice"})
    fetched = user.send("GET", address)
    versions = [r.get_json()["version"] for r in (created, changed, replaced, fetched)]
    assert versions == [1, 2, 3, 3]
    tags = [response.headers["ETag"] for response in (created, changed, replaced, fetched)]
    assert tags == ['"1"', '"2"', '"3"', '"3"']


@pytest.mark.parametrize(
    "header",
    ["{tag}", "W/{tag}", '"x", {tag}', '{tag},"x"', 'W/"a,b" , W/{tag}', "*", " * ", "{tag}, *"],
)
@pytest.mark.parametrize("is_list", [True, False], ids=["list", "task"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_current_etag_returns_304(user: Api, header: str, is_list: bool, method: str) -> None:
    address = "/tasks" if is_list else f"/tasks/{user.task()['id']}"
    tag = _tag(user, address)
    sent = {"If-None-Match": header.format(tag=tag)}
    response = user.send(method, address, headers=sent)
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == tag
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("header", JUNK)
def test_any_other_etag_returns_the_task(user: Api, header: str) -> None:
    task = user.task()
    sent = {"If-None-Match": header.format(version=task["version"])}
    assert user.expect(200, "GET", f"/tasks/{task['id']}", headers=sent) == task
    assert user.expect(200, "GET", "/tasks", headers=sent)["tasks"] == [task]


def test_an_outdated_etag_returns_the_changed_task(user: Api) -> None:
    task = user.task()
    address, old = f"/tasks/{task['id']}", {"If-None-Match": f'"{task["version"]}"'}
    user.expect(200, "PATCH", address, json={"title": "New"})
    assert user.expect(200, "GET", address, headers=old)["title"] == "New"


def test_an_unchanged_list_returns_304_with_any_query(user: Api) -> None:
    for _ in range(3):
        user.task()
    query = "/tasks?limit=1&sort=title&is_completed=false"
    page = user.send("GET", query)
    following = f"{query}&cursor={page.get_json()['next_cursor']}"
    for address in (query, following):
        response = user.send("GET", address, headers={"If-None-Match": page.headers["ETag"]})
        assert response.status_code == 304
        assert "Link" not in response.headers


def test_a_condition_hides_no_error(user: Api, stranger: Api, anonymous: Api) -> None:
    address, anything = f"/tasks/{user.task()['id']}", {"If-None-Match": "*"}
    stranger.problem(403, "forbidden", "GET", address, headers=anything)
    user.problem(404, "not_found", "GET", "/tasks/0", headers=anything)
    user.problem(400, "invalid_input", "GET", "/tasks?cursor=x", headers=anything)
    anonymous.problem(401, "authentication_required", "GET", "/tasks", headers=anything)
    user.expect(200, "POST", "/auth/logout")
    user.problem(401, "session_ended", "GET", address, headers=anything)
    user.problem(401, "session_ended", "GET", "/tasks", headers=anything)


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("header", ['"{version}"', '"x", "{version}"', '"{version}","1"', "*"])
def test_a_write_of_the_current_version_is_performed(user: Api, method: str, header: str) -> None:
    user.task()
    task = user.task()
    sent = {"If-Match": header.format(version=task["version"])}
    response = user.send(method, f"/tasks/{task['id']}", headers=sent, **new_title(method))
    assert response.status_code == (204 if method == "DELETE" else 200)
    listed = user.expect(200, "GET", "/tasks")
    assert listed["total"] == (1 if method == "DELETE" else 2)
    assert method == "DELETE" or listed["tasks"][0]["title"] == "New"


@pytest.mark.parametrize("header", MISSING)
def test_a_write_of_an_outdated_version_returns_the_current_task_and_changes_nothing(
    user: Api, header: str
) -> None:
    user.task()
    task, tag = user.task(), _tag(user)
    address, sent = f"/tasks/{task['id']}", {"If-Match": header.format(version=task["version"])}
    for method in WRITES:
        response = user.send(method, address, headers=sent, **new_title(method))
        assert response.status_code == 412
        assert response.get_json()["code"] == "precondition_failed"
        assert response.get_json()["task"] == task
        assert response.headers["ETag"] == f'"{task["version"]}"'
    assert user.expect(200, "GET", address) == task
    assert _tag(user) == tag


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_empty_change_checks_the_condition(user: Api, method: str) -> None:
    task = user.task()
    address = f"/tasks/{task['id']}"
    current, other = {"If-Match": f'"{task["version"]}"'}, {"If-Match": '"99"'}
    assert user.expect(200, method, address, json={}, headers=current) == task
    user.problem(412, "precondition_failed", method, address, json={}, headers=other)


@pytest.mark.parametrize("method", WRITES)
def test_a_conditional_write_of_a_missing_or_foreign_task_returns_404_or_403(
    user: Api, stranger: Api, method: str
) -> None:
    task = user.task()
    for condition in ("*", f'"{task["version"]}"', '"99"'):
        sent: dict[str, Any] = new_title(method) | {"headers": {"If-Match": condition}}
        user.problem(404, "not_found", method, "/tasks/0", **sent)
        problem = stranger.problem(403, "forbidden", method, f"/tasks/{task['id']}", **sent)
        assert "task" not in problem


def test_an_invalid_body_is_reported_before_a_failed_condition(user: Api) -> None:
    address, other = f"/tasks/{user.task()['id']}", {"If-Match": '"99"'}
    user.problem(400, "invalid_input", "PUT", address, json={"title": 1}, headers=other)


def test_the_condition_of_a_page_without_an_etag_is_false(user: Api) -> None:
    user.task(due={"date": "2020-11-28"})
    path = "/tasks?filter=due%20<%20today"
    assert "ETag" not in user.send("GET", path).headers
    assert user.expect(200, "GET", path, headers={"If-Match": "*"})["tasks"]
    user.problem(412, "precondition_failed", "GET", path, headers={"If-Match": '"1"'})


def test_versions_have_no_gaps_and_errors_take_none(
    user: Api, stranger: Api, settings: Settings
) -> None:
    first = user.task()
    address = f"/tasks/{first['id']}"
    theirs = f"/tasks/{stranger.task()['id']}"
    expected = itertools.count(2)
    for refusal in (
        lambda: user.problem(400, "invalid_input", "POST", "/tasks", json={"title": ""}),
        lambda: user.problem(400, "invalid_input", "PUT", address, json={"id": 1, "x": 1}),
        lambda: user.problem(403, "forbidden", "PATCH", theirs, json={"title": "x"}),
        lambda: user.problem(403, "forbidden", "DELETE", theirs),
        lambda: user.problem(404, "not_found", "PUT", "/tasks/0", json={"title": "x"}),
        lambda: user.problem(404, "not_found", "DELETE", "/tasks/0"),
        lambda: user.problem(
            412, "precondition_failed", "DELETE", address, headers={"If-Match": '"0"'}
        ),
        lambda: user.expect(200, "PATCH", address, json={}),
    ):
        refusal()
        changed = user.expect(200, "PATCH", address, json={"description": "x"})
        assert changed["version"] == next(expected)
        assert user.task()["version"] == next(expected)
    user.expect(204, "DELETE", address)
    next(expected)
    assert user.task()["version"] == next(expected)
    assert _kept_version(settings, user) == next(expected) - 1
    assert _kept_version(settings, stranger) == 1


def test_a_lists_etag_changes_exactly_with_each_change(user: Api, stranger: Api) -> None:
    tags = [_tag(user)]
    first, second = user.task(), user.task()
    tags.append(_tag(user))
    for method, task, body in (
        ("PATCH", first, {"title": "New"}),
        ("PUT", second, {"is_completed": True}),
        ("PUT", second, {"is_completed": True}),
        ("DELETE", first, None),
    ):
        user.send(method, f"/tasks/{task['id']}", json=body)
        tags.append(_tag(user))
    assert len(set(tags)) == len(tags)
    user.expect(200, "GET", f"/tasks/{second['id']}")
    user.expect(200, "PATCH", f"/tasks/{second['id']}", json={})
    user.again()
    stranger.task()
    assert _tag(user) == tags[-1]


def test_the_etag_of_an_empty_list_works_like_any_other(user: Api) -> None:
    tag = _tag(user)
    assert user.send("GET", "/tasks", headers={"If-None-Match": tag}).status_code == 304
    user.task()
    assert user.send("GET", "/tasks", headers={"If-None-Match": tag}).status_code == 200


def test_a_lists_etag_is_unknown_to_other_users(user: Api, stranger: Api) -> None:
    user.task(title="Mine")
    stranger.task(title="Theirs")
    tag = user.send("GET", "/tasks").headers["ETag"]
    response = stranger.send("GET", "/tasks", headers={"If-None-Match": tag})
    assert response.status_code == 200
    assert response.headers["ETag"] != tag
    assert [task["title"] for task in response.get_json()["tasks"]] == ["Theirs"]
    assert "Authorization" in response.headers["Vary"]


def test_times_follow_the_order_of_changes(user: Api) -> None:
    def add() -> None:
        world.person(user.client.application, user.contract, user).task()

    world.at_once([add] * 24)
    tasks = user.expect(200, "GET", "/tasks?sort=created_at")["tasks"]
    moments = [(task["version"], task["created_at"], task["updated_at"]) for task in tasks]
    assert [m[0] for m in moments] == sorted(m[0] for m in moments)
    assert [m[1] for m in moments] == sorted(m[1] for m in moments)
    assert all(created == updated for _, created, updated in moments)
