"""The calls of tasks."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.preconditions import if_match, if_none_match
from taskapi.http.responses import page_response, versioned_response
from taskapi.identity import Caller
from taskapi.tasks import finding, schemas, service
from taskapi.tasks.schemas import TASK
from taskapi.tasks.service import TooManyLabels

tasks = Blueprint("tasks", __name__, url_prefix="/tasks")

_CHANGE = TASK.changing(QuotaExceeded)


@tasks.get("")
@operation(summary="List tasks", **TASK.listing(schemas.TaskQuery(), schemas.TaskPage))
def list_tasks(caller: Caller, query: dict[str, Any]) -> Response:
    """The caller's tasks, newest first unless `sort` says otherwise. Titles ignore ASCII case.

    Without `limit` up to 1,000 come at once. When there are more, `next_cursor` and the `Link`
    header say where to go on. Any page of all tasks costs the same; with `list_id` it may cost more
    the longer that list is, unless it is in the order of creation.
    """
    known = if_none_match(request, caller.workspace_id)
    page = finding.list_tasks(caller, query, known=known)
    return page_response("tasks", page, caller, TASK.represent)


@tasks.post("")
@operation(summary="Add a task", **TASK.adding(schemas.NEW_EXAMPLE))
def create_task(caller: Caller, body: dict[str, Any]) -> Response:
    """Adds a task to the caller's.

    With an `Idempotency-Key`, the same request adds it once, however often it is sent.
    """
    task = service.create_task(caller, body)
    return versioned_response(TASK.represent(task), 201, {"Location": f"{request.path}/{task.id}"})


@tasks.get("/<id:task_id>")
@operation(summary="Get a task", **TASK.getting())
def get_task(caller: Caller, task_id: int) -> Response:
    """One of the caller's tasks."""
    return versioned_response(TASK.represent(service.get_task(caller, task_id)))


@tasks.put("/<id:task_id>")
@operation(
    summary="Change a task", body_example=schemas.NEW_EXAMPLE | {"is_completed": True}, **_CHANGE
)
def update_task(caller: Caller, task_id: int, body: dict[str, Any]) -> Response:
    """Sets the fields that are given; the others stay. A whole task may be sent back as it came."""
    return versioned_response(
        TASK.represent(service.update_task(caller, task_id, body, if_match(request)))
    )


@tasks.patch("/<id:task_id>")
@operation(
    summary="Patch a task",
    body_example={"is_completed": True},
    media_types=(JSON, MERGE_PATCH),
    **_CHANGE,
)
def patch_task(caller: Caller, task_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396): null removes a value from a nullable field."""
    return versioned_response(
        TASK.represent(service.update_task(caller, task_id, body, if_match(request)))
    )


@tasks.post("/<id:task_id>/move")
@operation(
    summary="Move a task", body_example=schemas.MOVE_EXAMPLE, **TASK.acting(schemas.TaskMove())
)
def move_task(caller: Caller, task_id: int, body: dict[str, Any]) -> Response:
    """Puts a task, and those below it, elsewhere: into a list, below a parent, behind another."""
    return versioned_response(
        TASK.represent(service.move_task(caller, task_id, body, if_match(request)))
    )


@tasks.delete("/<id:task_id>")
@operation(summary="Delete a task", **TASK.deleting())
def delete_task(caller: Caller, task_id: int) -> Response:
    """Removes a task, and those below it, for good."""
    service.delete_task(caller, task_id, if_match(request))
    return Response(status=204)


@tasks.put("/<id:task_id>/labels/<id:label_id>")
@operation(summary="Put a label on a task", **TASK.touching(TooManyLabels))
def add_label(caller: Caller, task_id: int, label_id: int) -> Response:
    """Adds one label to those of the task. One that has it stays as it is, with its version."""
    return versioned_response(
        TASK.represent(service.add_label(caller, task_id, label_id, if_match(request)))
    )


@tasks.delete("/<id:task_id>/labels/<id:label_id>")
@operation(summary="Take a label off a task", **TASK.touching())
def remove_label(caller: Caller, task_id: int, label_id: int) -> Response:
    """Removes one label of the task's. One that does not have it stays as it is."""
    return versioned_response(
        TASK.represent(service.remove_label(caller, task_id, label_id, if_match(request)))
    )
