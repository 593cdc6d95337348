"""What a member who leaves a workspace is assigned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import PASSWORD, Api
from support.mails import Mails

from config import Settings

FILL = """
INSERT INTO tasks (workspace_id, user_id, title, version, assignee_id)
SELECT %s, %s, n::text, 1, %s FROM generate_series(1, %s) n
"""

Leave = Callable[[Api, Api, int], Any]

WAYS: dict[str, Leave] = {
    "removed": lambda owner, member, shared: owner.expect(
        204, "DELETE", f"/workspaces/{shared}/members/{member.user_id}"
    ),
    "left": lambda owner, member, shared: member.expect(
        204, "DELETE", f"/workspaces/{shared}/members/{member.user_id}"
    ),
    "deleted": lambda owner, member, shared: member.expect(
        204, "POST", "/auth/delete", json={"password": PASSWORD}
    ),
}


@pytest.mark.parametrize("leave", WAYS.values(), ids=WAYS)
def test_the_tasks_of_a_member_who_leaves_are_unassigned(
    user: Api, stranger: Api, leave: Leave
) -> None:
    shared = user.workspace(editor=stranger)
    inside = user.at(shared)
    theirs = [inside.task(assignee_id=stranger.user_id) for _ in range(3)]
    mine = inside.task(assignee_id=user.user_id)
    leave(user, stranger, shared)
    after = [inside.expect(200, "GET", f"/tasks/{task['id']}") for task in theirs]
    assert [task["assignee_id"] for task in after] == [None] * 3
    assert {task["version"] for task in after} == {mine["version"] + 1}
    assert inside.expect(200, "GET", f"/tasks/{mine['id']}") == mine
    body = {"assignee_id": stranger.user_id}
    inside.problem(400, "invalid_input", "PATCH", f"/tasks/{mine['id']}", json=body)


def test_a_job_unassigns_what_is_left_of_many(
    app: Flask, settings: Settings, user: Api, stranger: Api, mails: Mails
) -> None:
    shared = user.workspace(editor=stranger)
    world.sql(settings, FILL, shared, user.user_id, stranger.user_id, 2_500)
    WAYS["removed"](user, stranger, shared)
    assigned = "SELECT count(*) FROM tasks WHERE workspace_id = %s AND assignee_id IS NOT NULL"
    assert world.sql(settings, assigned, shared) == [(1_500,)]
    mails.run_jobs()
    assert world.sql(settings, assigned, shared) == [(0,)]
    # Each step has a version of its own.
    versions = "SELECT count(*) FROM tasks WHERE workspace_id = %s GROUP BY version ORDER BY 1 DESC"
    assert world.sql(settings, versions, shared) == [(1_000,), (1_000,), (500,)]


def test_a_member_who_joins_again_keeps_new_assignments(
    app: Flask, settings: Settings, user: Api, stranger: Api, mails: Mails
) -> None:
    shared = user.workspace(editor=stranger)
    world.sql(settings, FILL, shared, user.user_id, stranger.user_id, 1_000)
    WAYS["left"](user, stranger, shared)
    user.invite(shared, stranger, "editor")
    task = user.at(shared).task(assignee_id=stranger.user_id)
    mails.run_jobs()
    assert user.at(shared).expect(200, "GET", f"/tasks/{task['id']}") == task
