"""`GET /assigned`: the tasks of the caller in all workspaces."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import Api
from support.shared import Shared


def assigned(person: Api, path: str = "/assigned", **query: Any) -> list[dict[str, Any]]:
    page = person.expect(200, "GET", path, query_string=query)
    assert page["total"] is None
    return list(page["tasks"])


def mine(shared: Shared, person: Api, **values: Any) -> dict[str, Any]:
    return shared.task(person, assignee_id=person.user_id, **values)


def test_tasks_of_all_workspaces_are_listed_the_newest_first(user: Api, stranger: Api) -> None:
    assert assigned(user) == []
    first, second = Shared(user, stranger), Shared(stranger)
    second.join(user, "viewer")
    tasks = [
        user.task(assignee_id=user.user_id),
        mine(first, user),
        second.task(stranger, assignee_id=user.user_id),
        mine(first, user, is_completed=True),
    ]
    theirs = [mine(first, stranger), mine(second, stranger), stranger.task()]
    user.task()
    first.task(user)
    assert assigned(user) == tasks[::-1]
    assert assigned(stranger) == theirs[1::-1]
    assert [task["workspace_id"] for task in tasks] == [
        user.user_id,
        first.id,
        second.id,
        first.id,
    ]
    assert assigned(user, is_completed="true") == tasks[3:]
    assert assigned(user, is_completed="false") == tasks[2::-1]


@pytest.mark.parametrize("is_completed", [None, "false"])
def test_pages_contain_all_tasks_once(user: Api, is_completed: str | None) -> None:
    shared = Shared(user)
    tasks = []
    for number in range(7):
        state = {"is_completed": number % 3 == 0 and is_completed is None}
        tasks.append(mine(shared, user, **state))
        tasks.append(user.task(assignee_id=user.user_id, **state))
    query = {"is_completed": is_completed} if is_completed else {}
    pages = list(user.pages("/assigned", limit=4, **query))
    assert [len(page["tasks"]) for page in pages] == [4, 4, 4, 2]
    assert [task for page in pages for task in page["tasks"]] == tasks[::-1]
    problem = user.problem(400, "invalid_input", "GET", "/assigned?limit=101")
    assert problem["errors"][0]["pointer"] == "limit"
    user.problem(400, "invalid_input", "GET", "/assigned?cursor=a")


def test_it_ignores_the_workspace_of_the_path(user: Api, stranger: Api) -> None:
    shared, other = Shared(user), Shared(stranger)
    tasks = [user.task(assignee_id=user.user_id), mine(shared, user)]
    for base in ("", shared.base, other.base, "/workspaces/9007199254740991"):
        assert assigned(user, f"{base}/assigned") == tasks[::-1]


def test_it_has_no_etag(user: Api) -> None:
    conditions = {"If-None-Match": "*", "If-Match": '"1"'}
    response = user.send("GET", "/assigned", headers=conditions)
    assert response.status_code == 200
    assert "ETag" not in response.headers
    assert response.headers["Cache-Control"] == "no-store"


def test_tasks_of_workspaces_that_the_user_has_left_are_not_listed(
    user: Api, stranger: Api
) -> None:
    shared = Shared(user, stranger)
    task = shared.task(user, assignee_id=stranger.user_id)
    assert assigned(stranger) == [task]
    shared.remove(stranger)
    assert assigned(stranger) == []


def test_an_ended_session_lists_nothing(user: Api) -> None:
    user.task(assignee_id=user.user_id)
    user.expect(200, "POST", "/auth/logout")
    user.problem(401, "session_ended", "GET", "/assigned")


def test_a_token_needs_the_scope_to_read_tasks(user: Api) -> None:
    task = user.task(assignee_id=user.user_id)
    assert assigned(user.with_token("tasks:read")) == [task]
    user.with_token("lists:read").problem(403, "insufficient_scope", "GET", "/assigned")


def test_a_token_for_some_workspaces_lists_only_their_tasks(user: Api) -> None:
    first, second = Shared(user), Shared(user)
    tasks = [user.task(assignee_id=user.user_id), mine(first, user), mine(second, user)]

    def limited_to(*workspace_ids: int) -> list[dict[str, Any]]:
        return assigned(user.with_token("tasks:read", workspace_ids=workspace_ids))

    assert limited_to(user.user_id) == [tasks[0]]
    assert limited_to(first.id, second.id) == [tasks[2], tasks[1]]


def test_it_lists_what_filters_find_in_each_workspace(app: Flask, user: Api, stranger: Api) -> None:
    shared = Shared(user, stranger)
    for person in (user, stranger, user):
        mine(shared, person)
    found = world.person(app, user.contract, like=user).expect(
        200, "GET", f"{shared.base}/tasks?assignee=me"
    )
    assert found["tasks"] == assigned(user)
    assert len(found["tasks"]) == 2
