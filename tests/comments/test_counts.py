"""`comment_count` of tasks: in each representation, and after each change."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support.api import Api
from support.contract import Contract
from support.world import at_once, person


def _commented(api: Api, number: int = 2, **values: Any) -> dict[str, Any]:
    """A new task with this number of comments."""
    task = api.task(**values)
    for _ in range(number):
        api.comment(task["id"])
    return api.expect(200, "GET", f"/tasks/{task['id']}")


def test_a_new_task_has_no_comments(user: Api) -> None:
    assert user.task(comment_count=7)["comment_count"] == 0


def test_a_comment_changes_the_count_and_the_version_of_its_task(user: Api) -> None:
    other, task = user.task(), user.task()
    path = f"/tasks/{task['id']}"
    comment = user.comment(task["id"])
    after = user.expect(200, "GET", path)
    changed = {name for name, value in after.items() if value != task[name]}
    assert changed == {"comment_count", "version", "updated_at"}
    assert after["comment_count"] == 1
    assert after["version"] == comment["version"] == task["version"] + 1
    assert after["updated_at"] == comment["created_at"]
    user.expect(204, "DELETE", f"{path}/comments/{comment['id']}")
    removed = user.expect(200, "GET", path)
    assert (removed["comment_count"], removed["version"]) == (0, after["version"] + 1)
    assert user.expect(200, "GET", f"/tasks/{other['id']}") == other


def test_the_etag_of_a_task_changes_with_its_comments(user: Api) -> None:
    task = user.task()
    path, tag = f"/tasks/{task['id']}", f'"{task["version"]}"'
    user.comment(task["id"])
    assert user.send("GET", path, headers={"If-None-Match": tag}).status_code == 200
    problem = user.problem(
        412, "precondition_failed", "PUT", path, json={"title": "New"}, headers={"If-Match": tag}
    )
    assert problem["task"]["comment_count"] == 1


def test_each_representation_of_a_task_has_the_count(user: Api) -> None:
    label, into = user.label(), user.list()
    rule = {"due": {"date": "2150-01-05"}, "recurrence": {"rrule": "FREQ=DAILY"}}
    task = _commented(user, title="Paint the fence", list_id=into["id"], **rule)
    path = f"/tasks/{task['id']}"
    search = user.expect(200, "GET", "/search", query_string={"text": "fence"})
    rows = [
        *(found["task"] for found in search["results"]),
        *user.expect(200, "GET", "/tasks")["tasks"],
        *user.expect(200, "GET", "/tasks", query_string={"list_id": into["id"]})["tasks"],
        *user.expect(200, "GET", "/tasks", query_string={"filter": "priority = 0"})["tasks"],
    ]
    rows += [
        user.expect(200, method, url, **sent)
        for method, url, sent in (
            ("PUT", path, {"json": {"title": "Paint the wall", "comment_count": 7}}),
            ("PATCH", path, {"json": {"priority": 2}}),
            ("PATCH", path, {"json": {}}),
            ("PUT", f"{path}/labels/{label['id']}", {}),
            ("DELETE", f"{path}/labels/{label['id']}", {}),
            ("POST", f"{path}/move", {"json": {"list_id": user.user_id}}),
        )
    ]
    for action in ("complete", "skip", "undo"):
        rows.append(user.expect(200, "POST", f"{path}/{action}")["task"])
    rows.append(user.expect(200, "PATCH", path, json={"is_completed": True}))
    assert [row["comment_count"] for row in rows] == [2] * 14


def test_deleted_comments_of_a_task_leave_those_of_others(user: Api) -> None:
    kept, into = _commented(user), user.list()
    parent = _commented(user)
    below = _commented(user, parent_id=parent["id"])
    inside = _commented(user, list_id=into["id"])
    alone = _commented(user)
    user.expect(204, "DELETE", f"/tasks/{alone['id']}")
    user.expect(204, "DELETE", f"/tasks/{parent['id']}")
    user.expect(204, "DELETE", f"/lists/{into['id']}", query_string={"tasks": "delete"})
    for gone in (alone, parent, below, inside):
        user.problem(404, "not_found", "GET", f"/tasks/{gone['id']}/comments")
    assert user.expect(200, "GET", f"/tasks/{kept['id']}/comments")["total"] == 2
    quotas = user.expect(200, "GET", "/auth/me")["quotas"]
    assert quotas["comments"]["used"] == 2


def test_comments_stay_when_labels_and_lists_of_the_task_change(user: Api) -> None:
    first, second, into = user.label(), user.label(), user.list()
    task = _commented(user, label_ids=[first["id"]], list_id=into["id"])
    user.expect(200, "POST", f"/labels/{first['id']}/merge", json={"into": second["id"]})
    user.expect(204, "DELETE", f"/lists/{into['id']}", query_string={"tasks": "move"})
    assert user.expect(200, "GET", f"/tasks/{task['id']}")["comment_count"] == 2
    assert user.expect(200, "GET", f"/tasks/{task['id']}/comments")["total"] == 2


@pytest.mark.parametrize("number", [8])
def test_comments_at_the_same_time_are_all_counted(
    app: Flask, contract: Contract, user: Api, number: int
) -> None:
    task = user.task()
    path = f"/tasks/{task['id']}/comments"
    clients = [person(app, contract, like=user) for _ in range(number)]
    versions = at_once(
        [
            lambda api=api: api.expect(201, "POST", path, json={"text": "Green"})["version"]
            for api in clients
        ]
    )
    first = task["version"] + 1
    assert sorted(versions) == list(range(first, first + number))
    assert user.expect(200, "GET", f"/tasks/{task['id']}")["comment_count"] == number
    ids = [comment["id"] for comment in user.expect(200, "GET", path)["comments"]]
    addresses = [f"{path}/{comment_id}" for comment_id in [*ids, *ids[:2]]]
    found = at_once([lambda url=url: user.send("DELETE", url).status_code for url in addresses])
    assert sorted(found) == [204] * number + [404] * 2
    assert user.expect(200, "GET", f"/tasks/{task['id']}")["comment_count"] == 0
