"""The operation of assigned tasks."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from taskapi.http.operations import Link, operation
from taskapi.http.responses import page_response
from taskapi.identity import Caller
from taskapi.tasks.assignees import schemas, service
from taskapi.tasks.schemas import TASK

assigned = Blueprint("assigned", __name__, url_prefix="/assigned")


@assigned.get("")
@operation(
    summary="List assigned tasks",
    **TASK.reading,
    spans_workspaces=True,
    query=schemas.AssignedTasksQuery(),
    response=schemas.AssignedTaskPage,
    example={"tasks": [schemas.EXAMPLE], "total": None, "next_cursor": None},
    headers=("Link",),
    links=(Link("list_assigned_tasks", {"cursor": "$response.body#/next_cursor"}),),
)
def list_assigned_tasks(caller: Caller, query: dict[str, Any]) -> Response:
    """Returns the tasks that are assigned to the caller in all workspaces, the newest first.

    These are the caller's personal workspace and the shared workspaces that the caller is a member
    of. A personal access token for some workspaces returns only their tasks. `workspace_id` names
    the workspace of a task. The response has no ETag, because each workspace has its own version.
    """
    page = service.list_assigned_tasks(caller, query)
    return page_response("tasks", page, None, TASK.represent)
