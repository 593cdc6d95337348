"""Assignees: who can be one, who cannot, and what happens when a member leaves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import Api
from support.shared import Shared

from config import Settings

NOBODYS = 9_007_199_254_740_991
UNKNOWN = {
    "pointer": "/assignee_id",
    "code": "unknown_reference",
    "message": "Member not found.",
}


REMOVAL = """
WITH locked AS (SELECT id FROM workspaces WHERE id = %s FOR NO KEY UPDATE)
DELETE FROM memberships USING locked WHERE workspace_id = locked.id AND user_id = %s
"""
"""Deletes a membership like the service, but unassigns nothing."""


@pytest.fixture
def shared(user: Api, stranger: Api) -> Shared:
    """A workspace of the user, with the stranger as an editor."""
    return Shared(user, stranger)


@pytest.fixture
def outsider(app: Flask, user: Api) -> Api:
    return world.person(app, user.contract).registered()


def test_the_entity_tag_of_another_member_does_not_match(
    user: Api, stranger: Api, shared: Shared
) -> None:
    """`assignee=me` means somebody else for each member."""
    task = shared.task(user, assignee_id=user.user_id)
    mine = {"query_string": {"assignee": "me"}}
    found = user.at(shared.id).send("GET", "/tasks", **mine)
    tag = {"If-None-Match": found.headers["ETag"]}
    assert [row["id"] for row in found.get_json()["tasks"]] == [task["id"]]
    assert user.at(shared.id).send("GET", "/tasks", headers=tag, **mine).status_code == 304
    theirs = stranger.at(shared.id).send("GET", "/tasks", headers=tag, **mine)
    assert (theirs.status_code, theirs.get_json()["tasks"]) == (200, [])


def refused(person: Api, method: str, path: str, assignee_id: int) -> None:
    body = {"title": "New", "assignee_id": assignee_id}
    problem = person.problem(400, "invalid_input", method, path, json=body)
    assert problem["errors"] == [UNKNOWN]


def test_a_task_is_assigned_to_nobody_by_default(user: Api, shared: Shared) -> None:
    for task in (user.task(), user.task(assignee_id=None), shared.task(user)):
        assert task["assignee_id"] is None


def test_a_personal_task_can_be_assigned_to_its_owner(user: Api, stranger: Api) -> None:
    task = user.task(assignee_id=user.user_id)
    assert (task["assignee_id"], task["workspace_id"]) == (user.user_id, user.user_id)
    path = f"/tasks/{task['id']}"
    assert user.expect(200, "PATCH", path, json={"title": "New"})["assignee_id"] == user.user_id
    assert user.expect(200, "PATCH", path, json={"priority": 2, "due": {"date": "2026-12-24"}})[
        "assignee_id"
    ]
    for other in (stranger.user_id, NOBODYS):
        refused(user, "POST", "/tasks", other)
        for method in ("PUT", "PATCH"):
            refused(user, method, path, other)
    assert user.expect(200, "PATCH", path, json={"assignee_id": None})["assignee_id"] is None


def test_a_task_of_a_shared_workspace_can_be_assigned_to_each_member(
    user: Api, stranger: Api, shared: Shared
) -> None:
    for member in (user, stranger):
        task = shared.task(user, assignee_id=member.user_id)
        assert (task["assignee_id"], task["workspace_id"]) == (member.user_id, shared.id)
        path = f"{shared.base}/tasks/{task['id']}"
        for other in (user, stranger):
            body = {"assignee_id": other.user_id}
            changed = stranger.expect(200, "PUT", path, json=body)
            assert changed["assignee_id"] == other.user_id
            assert stranger.expect(200, "GET", path) == changed


def test_users_who_are_no_members_are_not_distinguished_from_those_who_do_not_exist(
    user: Api, shared: Shared, outsider: Api
) -> None:
    task = shared.task(user)
    # The workspace has the ID of no user.
    for other in (outsider.user_id, NOBODYS, shared.id):
        refused(user, "POST", f"{shared.base}/tasks", other)
        for method in ("PUT", "PATCH"):
            refused(user, method, f"{shared.base}/tasks/{task['id']}", other)
    assert user.expect(200, "GET", f"{shared.base}/tasks")["tasks"] == [task]


@pytest.mark.parametrize(
    ("value", "code"), [("1", "wrong_type"), (0, "out_of_range"), (2**53, "out_of_range")]
)
def test_an_invalid_assignee_returns_400(user: Api, value: Any, code: str) -> None:
    body = {"title": "a", "assignee_id": value}
    problem = user.problem(400, "invalid_input", "POST", "/tasks", json=body)
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("/assignee_id", code)]


def test_a_viewer_can_be_the_assignee_but_assigns_nothing(user: Api, stranger: Api) -> None:
    shared = Shared(user, stranger, role="viewer")
    task = shared.task(user, assignee_id=stranger.user_id)
    path, body = f"{shared.base}/tasks/{task['id']}", {"assignee_id": None}
    stranger.problem(403, "insufficient_role", "PATCH", path, json=body)


def test_the_next_occurrence_keeps_the_assignee(user: Api, stranger: Api, shared: Shared) -> None:
    due, how = {"date": "2150-01-05"}, {"rrule": "FREQ=DAILY"}
    task = shared.task(user, due=due, recurrence=how, assignee_id=stranger.user_id)
    path = f"{shared.base}/tasks/{task['id']}"
    for action in ("complete", "skip", "undo"):
        done = user.expect(200, "POST", f"{path}/{action}")
        assert done["task"]["assignee_id"] == stranger.user_id
        assert done["occurrence"]["workspace_id"] == shared.id


def test_a_subtask_has_its_own_assignee(user: Api, stranger: Api, shared: Shared) -> None:
    parent = shared.task(user, assignee_id=user.user_id)
    below = shared.task(user, parent_id=parent["id"])
    assert below["assignee_id"] is None
    other = shared.task(user, parent_id=parent["id"], assignee_id=stranger.user_id)
    path = f"{shared.base}/tasks/{parent['id']}"
    user.expect(200, "PATCH", path, json={"is_completed": True})
    found = user.expect(200, "GET", f"{shared.base}/tasks/{other['id']}")
    assert (found["assignee_id"], found["is_completed"]) == (stranger.user_id, True)


def test_content_names_its_workspace(user: Api, shared: Shared) -> None:
    for base, workspace_id in (("", user.user_id), (shared.base, shared.id)):
        for path, body in (
            ("/lists", {"name": "Work"}),
            ("/labels", {"name": "Urgent"}),
            ("/filters", {"name": "Mine", "query": "assignee = me"}),
            ("/tasks", {"title": "a"}),
        ):
            made = user.expect(201, "POST", base + path, json=body | {"workspace_id": 1})
            assert made["workspace_id"] == workspace_id


def test_a_task_that_is_not_unassigned_yet_can_be_changed(
    user: Api, stranger: Api, settings: Settings, shared: Shared
) -> None:
    task = shared.task(user, assignee_id=stranger.user_id)
    world.sql(settings, REMOVAL, shared.id, stranger.user_id)
    path = f"{shared.base}/tasks/{task['id']}"
    changed = user.expect(200, "PUT", path, json=task | {"due": {"date": "2026-12-24"}})
    assert changed["assignee_id"] == stranger.user_id
    user.expect(200, "PATCH", path, json={"assignee_id": None})
    refused(user, "PATCH", path, stranger.user_id)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_member_who_is_removed_meanwhile_cannot_be_assigned(
    app: Flask, user: Api, stranger: Api, settings: Settings, shared: Shared, method: str
) -> None:
    path = f"{shared.base}/tasks"
    if method != "POST":
        path += f"/{shared.task(user)['id']}"
    me = world.person(app, user.contract, like=user)
    removal = (REMOVAL, shared.id, stranger.user_id)
    with ThreadPoolExecutor(1) as threads:
        with world.holding(settings, *removal):
            waiting = threads.submit(refused, me, method, path, stranger.user_id)
            world.until_blocked(settings, 1)
            assert not waiting.done()
        waiting.result()
    assert _assigned_to_others(settings, shared) == []


def test_no_task_of_a_removed_member_stays_assigned(
    app: Flask, user: Api, stranger: Api, settings: Settings, shared: Shared
) -> None:
    tasks = [shared.task(user) for _ in range(8)]

    def assign(task: dict[str, Any]) -> int:
        me = world.person(app, user.contract, like=user)
        path, body = f"{shared.base}/tasks/{task['id']}", {"assignee_id": stranger.user_id}
        return me.send("PATCH", path, json=body).status_code

    def remove() -> int:
        me = world.person(app, user.contract, like=user)
        return me.send("DELETE", f"{shared.base}/members/{stranger.user_id}").status_code

    calls = [lambda task=task: assign(task) for task in tasks]
    *statuses, removed = world.at_once([*calls, remove])
    assert set(statuses) <= {200, 400}
    assert removed == 204
    assert _assigned_to_others(settings, shared) == []


def _assigned_to_others(settings: Settings, shared: Shared) -> list[Any]:
    statement = (
        "SELECT id FROM tasks WHERE workspace_id = %s AND assignee_id IS NOT NULL AND assignee_id"
        " NOT IN (SELECT user_id FROM memberships WHERE workspace_id = tasks.workspace_id)"
    )
    return world.sql(settings, statement, shared.id)
