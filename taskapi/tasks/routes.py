"""The operations of tasks."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.preconditions import if_match, if_none_match
from taskapi.http.responses import created_response, page_response, versioned_response
from taskapi.identity import Caller
from taskapi.tasks import finding, schemas, service
from taskapi.tasks.schemas import TASK
from taskapi.tasks.service import TooManyLabels

tasks = Blueprint("tasks", __name__, url_prefix="/tasks")

_UPDATE = TASK.updating(QuotaExceeded)


@tasks.get("")
@operation(summary="List tasks", **TASK.listing(schemas.TaskQuery(), schemas.TaskPage))
def list_tasks(caller: Caller, query: dict[str, Any]) -> Response:
    """Returns the caller's tasks, by default the newest first.

    If there are more than `limit` tasks, `next_cursor` and the `Link` header lead to the next page.
    Titles are sorted without regard to the case of ASCII letters. If several parameters restrict
    the tasks, a task must match all of them.
    """
    known = if_none_match(request, caller)
    page = finding.list_tasks(caller, query, known=known)
    return page_response("tasks", page, caller, TASK.represent)


@tasks.post("")
@operation(summary="Create a task", **TASK.creating(schemas.NEW_EXAMPLE))
def create_task(caller: Caller, body: dict[str, Any]) -> Response:
    """Creates a task in the inbox, or in the list `list_id`.

    Send an `Idempotency-Key` to make the request safe to retry.
    """
    return created_response(TASK.represent(service.create_task(caller, body)))


@tasks.get("/<id:task_id>")
@operation(summary="Get a task", **TASK.getting())
def get_task(caller: Caller, task_id: int) -> Response:
    """Returns a task.

    Another user's task returns 403, a task that does not exist 404.
    """
    return versioned_response(TASK.represent(service.get_task(caller, task_id)))


@tasks.put("/<id:task_id>")
@operation(summary="Update a task", body_example=schemas.NEW_EXAMPLE, **_UPDATE)
def update_task(caller: Caller, task_id: int, body: dict[str, Any]) -> Response:
    """Sets the given fields. Omitted fields keep their values, and null restores their default.

    A client can send back a whole task: read-only fields are ignored.
    """
    return versioned_response(
        TASK.represent(service.update_task(caller, task_id, body, if_match(request)))
    )


@tasks.patch("/<id:task_id>")
@operation(
    summary="Patch a task",
    body_example=schemas.PATCH_EXAMPLE,
    media_types=(JSON, MERGE_PATCH),
    **_UPDATE | {"body": TASK.patch},
)
def patch_task(caller: Caller, task_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396).

    Null restores the default of a field. In `due`, `start` and `recurrence`, omitted members keep
    their values.
    """
    return versioned_response(
        TASK.represent(service.update_task(caller, task_id, body, if_match(request)))
    )


@tasks.post("/<id:task_id>/move")
@operation(
    summary="Move a task",
    body_example=schemas.MOVE_EXAMPLE,
    **TASK.acting(schemas.TaskMove()) | {"example": schemas.MOVED_EXAMPLE},
)
def move_task(caller: Caller, task_id: int, body: dict[str, Any]) -> Response:
    """Moves a task and its subtasks to another list, parent or position.

    A move names the sibling `after` which the task comes, not an index, so concurrent moves do not
    conflict.
    """
    return versioned_response(
        TASK.represent(service.move_task(caller, task_id, body, if_match(request)))
    )


@tasks.delete("/<id:task_id>")
@operation(summary="Delete a task", **TASK.deleting())
def delete_task(caller: Caller, task_id: int) -> Response:
    """Deletes a task and its subtasks. This cannot be undone."""
    service.delete_task(caller, task_id, if_match(request))
    return Response(status=204)


@tasks.put("/<id:task_id>/labels/<id:label_id>")
@operation(
    summary="Add a label to a task",
    **TASK.updating_without_body(TooManyLabels) | {"example": schemas.LABELED_EXAMPLE},
)
def add_label(caller: Caller, task_id: int, label_id: int) -> Response:
    """Adds a label to a task. A task that has the label does not change and keeps its version."""
    return versioned_response(
        TASK.represent(service.add_label(caller, task_id, label_id, if_match(request)))
    )


@tasks.delete("/<id:task_id>/labels/<id:label_id>")
@operation(summary="Remove a label from a task", **TASK.updating_without_body())
def remove_label(caller: Caller, task_id: int, label_id: int) -> Response:
    """Removes a label from a task. A task without the label does not change."""
    return versioned_response(
        TASK.represent(service.remove_label(caller, task_id, label_id, if_match(request)))
    )
