"""Use cases of assignees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.db import database
from taskapi.db.listing import Page
from taskapi.db.pages import page_request
from taskapi.db.tenancy import scope_of_all_workspaces
from taskapi.identity import Caller
from taskapi.jobs import job
from taskapi.problems import SessionEnded
from taskapi.tasks.assignees.queries import PIECE, SORTS, assigned_page, unassignment
from taskapi.tasks.models import Task
from taskapi.tasks.queries import tasks


def list_assigned_tasks(caller: Caller, query: Mapping[str, Any]) -> Page[Task]:
    """A page of the tasks that are assigned to the caller, in all workspaces, the newest first.

    It has no version, because each workspace has its own.

    Args:
        query: the validated limit, cursor and is_completed.

    Raises:
        InvalidInput: the cursor belongs to another list.
        SessionEnded: the caller's session has ended.
    """
    request = page_request(query, SORTS)
    statement = assigned_page(request.ordering, is_completed=query.get("is_completed"))
    rows = database.rows(statement, **request.parameters(), **scope_of_all_workspaces(caller))
    if not rows:
        raise SessionEnded
    found = [task for task in map(tasks.row, rows) if task.id is not None]
    page, next_cursor = request.split(found)
    return Page(page, None, next_cursor, None, request.cursor_after)


def unassign(workspace_id: int, user_id: int) -> int:
    """Remove a former member as the assignee of the workspace's tasks, a thousand at a time.

    It checks no session. The membership must have been deleted, and that committed: then no task
    can be assigned to this user meanwhile. Each step is its own transaction, unless the caller has
    begun one. A step that fails can be repeated.

    Returns:
        The number of tasks that have changed.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    changed = 0
    while number := _unassign_some(workspace_id, user_id):
        changed += number
    return changed


@job("unassign")
def unassign_later(workspace_id: int, user_id: int) -> None:
    """As `unassign`."""
    unassign(workspace_id, user_id)


def unassign_leaving_member(workspace_id: int, user_id: int) -> None:
    """Remove a member as the assignee, in the transaction that deletes the membership.

    If the member has many tasks, a job changes the others afterwards.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    if _unassign_some(workspace_id, user_id) == PIECE:
        unassign_later.defer(workspace_id, user_id)


def _unassign_some(workspace_id: int, user_id: int) -> int:
    parameters = {"caller_workspace_id": workspace_id, "assignee_id": user_id}
    number: int = database.rows(unassignment, **parameters)[0][0]
    return number
