"""Subtasks: valid parents, and completing, moving and deleting with their parent."""

from __future__ import annotations

from typing import Any

import pytest
from support.api import PASSWORD, Api

MAX_DEPTH = 15


def _list(user: Api) -> int:
    return int(user.list()["id"])


def _chain(user: Api, length: int, **values: Any) -> list[int]:
    """The IDs of a chain of subtasks."""
    ids = [user.task(**values)["id"]]
    while len(ids) < length:
        ids.append(user.task(parent_id=ids[-1])["id"])
    return ids


def _get(user: Api, task_id: int) -> dict[str, Any]:
    return dict(user.expect(200, "GET", f"/tasks/{task_id}"))


def _patch(user: Api, task_id: int, **values: Any) -> dict[str, Any]:
    return dict(user.expect(200, "PATCH", f"/tasks/{task_id}", json=values))


def _error(user: Api, method: str, path: str, **values: Any) -> tuple[str, str]:
    problem = user.problem(400, "invalid_input", method, path, json=values)
    (error,) = problem["errors"]
    return error["pointer"], error["code"]


def _open(user: Api) -> int:
    return int(user.expect(200, "GET", "/tasks?is_completed=false&limit=1")["total"])


def test_a_subtask_is_in_its_parents_list(user: Api) -> None:
    list_id = _list(user)
    parent = user.task(list_id=list_id)
    child = user.task(parent_id=parent["id"])
    assert (child["parent_id"], child["list_id"]) == (parent["id"], list_id)
    assert user.task(parent_id=parent["id"], list_id=list_id)["list_id"] == list_id


@pytest.mark.parametrize("whose", ["stranger", "nobody"])
def test_another_users_parent_is_an_unknown_reference(user: Api, stranger: Api, whose: str) -> None:
    parent_id = stranger.task()["id"] if whose == "stranger" else 2**53 - 1
    task = user.task()
    expected = ("/parent_id", "unknown_reference")
    assert _error(user, "POST", "/tasks", title="a", parent_id=parent_id) == expected
    for method in ("PUT", "PATCH"):
        assert _error(user, method, f"/tasks/{task['id']}", parent_id=parent_id) == expected
    path = f"/tasks/{task['id']}/move"
    assert _error(user, "POST", path, parent_id=parent_id) == expected
    assert user.expect(200, "GET", "/tasks")["tasks"] == [task]


@pytest.mark.parametrize("below", [0, 1, 4], ids=["itself", "child", "far below"])
def test_a_task_cannot_be_below_itself(user: Api, below: int) -> None:
    ids = _chain(user, 5)
    tag = user.send("GET", "/tasks").headers["ETag"]
    for method, path in (("PATCH", ""), ("POST", "/move")):
        error = _error(user, method, f"/tasks/{ids[0]}{path}", parent_id=ids[below])
        assert error == ("/parent_id", "cycle")
    assert user.send("GET", "/tasks").headers["ETag"] == tag


def test_the_depth_of_subtasks_is_limited(user: Api) -> None:
    ids = _chain(user, MAX_DEPTH + 1)
    assert _error(user, "POST", "/tasks", title="a", parent_id=ids[-1]) == (
        "/parent_id",
        "too_deep",
    )
    top, below = _chain(user, 2)
    assert _error(user, "PATCH", f"/tasks/{top}", parent_id=ids[-2]) == ("/parent_id", "too_deep")
    _patch(user, top, parent_id=ids[-3])
    assert _error(user, "POST", "/tasks", title="a", parent_id=below) == ("/parent_id", "too_deep")
    _patch(user, top, parent_id=None)
    assert user.task(parent_id=below)["parent_id"] == below


def test_another_list_requires_another_parent(user: Api) -> None:
    list_id = _list(user)
    parent, child = _chain(user, 2)
    expected = ("/list_id", "not_the_parents_list")
    assert _error(user, "PATCH", f"/tasks/{child}", list_id=list_id) == expected
    assert _error(user, "POST", "/tasks", title="a", parent_id=parent, list_id=list_id) == expected
    moved = _patch(user, child, list_id=list_id, parent_id=None)
    assert (moved["list_id"], moved["parent_id"]) == (list_id, None)
    back = _patch(user, child, parent_id=parent)
    assert (back["list_id"], back["parent_id"]) == (user.user_id, parent)


def test_subtasks_move_to_another_list_with_their_parent(user: Api) -> None:
    list_id = _list(user)
    ids = _chain(user, 4)
    aside = user.task()
    before = [_get(user, task_id) for task_id in ids]
    moved = _patch(user, ids[0], list_id=list_id)
    for task, old in zip([_get(user, task_id) for task_id in ids], before, strict=True):
        assert task["list_id"] == list_id
        assert task["version"] > old["version"]
        assert task["parent_id"] == old["parent_id"]
    assert moved["position"] > aside["position"], "it is the last there"
    assert _get(user, aside["id"]) == aside


def test_sending_a_whole_task_back_keeps_its_position(user: Api) -> None:
    parent, child = _chain(user, 2, list_id=_list(user))
    for task_id in (parent, child):
        before = _get(user, task_id)
        after = user.expect(200, "PUT", f"/tasks/{task_id}", json=before)
        moved = {name: after[name] for name in ("version", "updated_at")}
        assert after == before | moved


def test_completing_a_task_completes_its_subtasks(user: Api) -> None:
    top, middle, low = _chain(user, 3)
    _patch(user, middle, is_completed=True)
    assert [_get(user, one)["is_completed"] for one in (top, middle, low)] == [False, True, True]
    since = _get(user, middle)["completed_at"]
    done = _patch(user, low, is_completed=False)
    assert done["completed_at"] is None
    _patch(user, top, is_completed=True)
    assert _get(user, low)["is_completed"]
    assert _get(user, middle)["completed_at"] == since, "it was completed already"
    assert _open(user) == 0
    _patch(user, top, is_completed=False)
    assert [_get(user, one)["is_completed"] for one in (top, middle, low)] == [False, True, True]
    assert _open(user) == 1


def test_deleting_a_task_deletes_its_subtasks(user: Api) -> None:
    top, middle, low = _chain(user, 3)
    beside = user.task(is_completed=True)
    _patch(user, low, is_completed=True)
    user.expect(204, "DELETE", f"/tasks/{middle}")
    page = user.expect(200, "GET", "/tasks")
    assert [task["id"] for task in page["tasks"]] == [beside["id"], top]
    assert page["total"] == 2
    assert _open(user) == 1
    user.problem(404, "not_found", "GET", f"/tasks/{low}")


def test_deleting_an_outdated_version_of_a_parent_returns_412(user: Api) -> None:
    top, low = _chain(user, 2)
    headers = {"If-Match": '"0"'}
    user.problem(412, "precondition_failed", "DELETE", f"/tasks/{top}", headers=headers)
    body = {"is_completed": True}
    path = f"/tasks/{top}"
    user.problem(412, "precondition_failed", "PATCH", path, headers=headers, json=body)
    assert not _get(user, low)["is_completed"]


@pytest.mark.parametrize("fate", ["move", "delete"])
def test_deleting_a_list_deletes_tasks_with_subtasks(user: Api, fate: str) -> None:
    list_id = _list(user)
    ids = _chain(user, 3, list_id=list_id)
    user.expect(204, "DELETE", f"/lists/{list_id}?tasks={fate}")
    page = user.expect(200, "GET", "/tasks?sort=created_at")
    expected = [] if fate == "delete" else [(one, user.user_id) for one in ids]
    assert [(task["id"], task["list_id"]) for task in page["tasks"]] == expected
    assert page["total"] == len(expected)


def test_an_account_with_subtasks_can_be_deleted(user: Api) -> None:
    _chain(user, 3)
    user.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
