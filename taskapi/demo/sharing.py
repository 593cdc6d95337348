"""The shared workspace of `flask demo`, and its second member."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from itertools import cycle

from flask import current_app

from taskapi.auth.administration import create_user, get_user, session_of
from taskapi.db import database
from taskapi.demo.filling import create, create_missing
from taskapi.demo.samples import SHARED_LISTS, SHARED_NAME, shared_tasks
from taskapi.identity import Caller
from taskapi.problems import NotFound
from taskapi.tasks.lists.service import create_list, list_lists
from taskapi.workspaces.models import EDITOR
from taskapi.workspaces.queries import add_member
from taskapi.workspaces.service import create_workspace, list_workspaces

_ALL = {"limit": len(SHARED_LISTS) + 1, "sort": "name"}


def share_workspace(owner: Caller, email: str) -> str | None:
    """Create a workspace with a second member and tasks of both, unless the owner has it already.

    Returns:
        What to print about it. None if accounts cannot own workspaces.
    """
    found = (one for one in list_workspaces(owner) if one["owner_id"] == owner.user_id)
    workspace = next((one for one in found if one["name"] == SHARED_NAME), None)
    if workspace:
        return f"The base URL of the workspace {SHARED_NAME} is {_url(workspace['id'])}"
    if not current_app.config["QUOTA_WORKSPACES"]:
        return None
    second = second_email(email)
    secret = _create_account(second)
    with session_of(second) as editor, database.transaction():
        workspace_id = create_workspace(owner, SHARED_NAME)["id"]
        # Without an invitation, which would be mailed.
        ids = {"workspace_id": workspace_id, "user_id": editor.user_id}
        database.row(add_member, role=EDITOR, **ids)
        _fill(owner, editor, workspace_id)
    where = f"The base URL of the workspace {SHARED_NAME} is {_url(workspace_id)}"
    return f"{where} and its second member is {second}{secret}"


def second_email(email: str) -> str:
    """The email of the second member: another address of the same mailbox."""
    local, _, domain = email.rpartition("@")
    return f"{local}+{SHARED_NAME.lower()}@{domain}"


def _create_account(email: str) -> str:
    """Create an account if it does not exist, and return its password as part of a sentence."""
    try:
        get_user(email)
    except NotFound:
        password = secrets.token_urlsafe(12)
        create_user(email, password)
        return f" with the password: {password}"
    return ""


def _fill(owner: Caller, editor: Caller, workspace_id: int) -> None:
    """Create tasks by both members in turn, each assigned to the other."""
    members = [one._replace(workspace_id=workspace_id, writes=True) for one in (owner, editor)]
    known = list_lists(members[0], _ALL, known=[])
    lists = create_missing(members[0], SHARED_LISTS, create_list, known)
    task_ids: dict[str, int] = {}
    turns = cycle((members, members[::-1]))
    for task, (member, other) in zip(shared_tasks(datetime.now(UTC).date()), turns, strict=False):
        assigned = task._replace(values={**task.values, "assignee_id": other.user_id})
        task_ids[task.values["title"]] = create(member, assigned, lists, {}, task_ids)


def _url(workspace_id: int) -> str:
    return f"{current_app.config['PUBLIC_URL']}/workspaces/{workspace_id}"
