"""The operations of occurrences."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.operations import Link, operation
from taskapi.http.pagination import PageQuery
from taskapi.http.preconditions import entity_tag, if_match
from taskapi.http.resources import OUT_OF_REACH
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import Forbidden, NotFound
from taskapi.tasks.occurrences import schemas, service
from taskapi.tasks.occurrences.service import NothingToUndo, NotRecurring
from taskapi.tasks.schemas import TASK

occurrences = Blueprint("occurrences", __name__, url_prefix="/tasks")

_ID = {"task_id": "$response.body#/task/id"}
_ADVANCE: dict[str, Any] = {
    "parameters": ("If-Match", "Idempotency-Key"),
    "answers": schemas.OccurrenceResult,
    "example": schemas.RESULT_EXAMPLE,
    "headers": ("ETag", "Idempotency-Replayed"),
    "problem_shapes": TASK.conflict,
    "links": tuple(Link(name, _ID) for name in ("get_task", "list_occurrences")),
}


@occurrences.post("/<id:task_id>/complete")
@operation(
    summary="Complete an occurrence",
    query=schemas.AdvanceQuery(),
    problems=(*OUT_OF_REACH, QuotaExceeded),
    **_ADVANCE,
)
def complete_task(caller: Caller, task_id: int, query: dict[str, Any]) -> Response:
    """Completes a task, or the current occurrence of a recurring task.

    A recurring task is then due at its next occurrence, and its subtasks are open again. After its
    last occurrence it is completed.
    """
    return _result(service.complete(caller, task_id, **query, if_match=if_match(request)))


@occurrences.post("/<id:task_id>/skip")
@operation(
    summary="Skip an occurrence",
    query=schemas.AdvanceQuery(),
    problems=(*OUT_OF_REACH, NotRecurring, QuotaExceeded),
    **_ADVANCE,
)
def skip_occurrence(caller: Caller, task_id: int, query: dict[str, Any]) -> Response:
    """Skips the current occurrence. Everything else is as if it had been completed."""
    return _result(service.skip(caller, task_id, **query, if_match=if_match(request)))


@occurrences.post("/<id:task_id>/undo")
@operation(summary="Undo an occurrence", problems=(*OUT_OF_REACH, NothingToUndo), **_ADVANCE)
def undo_occurrence(caller: Caller, task_id: int) -> Response:
    """Undoes the last completed or skipped occurrence: the task is open, and due as it was then.

    The occurrence is removed from the history. Subtasks stay as they are.
    """
    return _result(service.undo(caller, task_id, if_match(request)))


@occurrences.get("/<id:task_id>/occurrences")
@operation(
    summary="List occurrences",
    query=PageQuery(),
    answers=schemas.OccurrencePage,
    example={"occurrences": [schemas.EXAMPLE], "total": 1, "next_cursor": None},
    problems=(Forbidden, NotFound),
    links=(
        Link(
            "list_occurrences",
            {
                "task_id": "$response.body#/occurrences/0/task_id",
                "cursor": "$response.body#/next_cursor",
            },
        ),
    ),
)
def list_occurrences(caller: Caller, task_id: int, query: dict[str, Any]) -> Response:
    """Returns the completed and skipped occurrences of a recurring task, newest first."""
    found = service.list_occurrences(caller, task_id, query)
    shown = {"total": found.total, "next_cursor": found.next_cursor}
    rows = [schemas.represent(row) for row in found.rows or ()]
    return json_response({"occurrences": rows, **shown})


def _result(result: service.OccurrenceResult) -> Response:
    task = TASK.represent(result.task)
    occurrence = result.occurrence and schemas.represent(result.occurrence)
    following = task["due"] if result.has_next else None
    payload = {"task": task, "occurrence": occurrence, "next": following}
    return json_response(payload, headers={"ETag": entity_tag(result.task.version)})
