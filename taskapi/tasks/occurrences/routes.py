"""The operations of occurrences."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.operations import Link, operation
from taskapi.http.pagination import PageQuery
from taskapi.http.preconditions import entity_tag, if_match
from taskapi.http.resources import WRITE_PROBLEMS
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import Forbidden, NotFound
from taskapi.tasks.occurrences import schemas, service
from taskapi.tasks.occurrences.advancing import OccurrenceResult
from taskapi.tasks.occurrences.service import NothingToUndo, NotRecurring
from taskapi.tasks.schemas import TASK

occurrences = Blueprint("occurrences", __name__, url_prefix="/tasks")

_ID = {"task_id": "$response.body#/task/id"}
_RESULT: dict[str, Any] = TASK.writing | {
    "parameters": ("If-Match", "Idempotency-Key"),
    "response": schemas.OccurrenceResult,
    "headers": ("ETag", "Idempotency-Replayed"),
    "problem_schemas": TASK.conflict,
    "links": tuple(Link(name, _ID) for name in ("get_task", "list_occurrences")),
}


@occurrences.post("/<id:task_id>/complete")
@operation(
    summary="Complete a task or an occurrence",
    query=schemas.AdvanceQuery(),
    body=schemas.Completion(),
    is_body_optional=True,
    body_example=schemas.COMPLETION_EXAMPLE,
    example=schemas.COMPLETED_EXAMPLE,
    problems=(*WRITE_PROBLEMS, QuotaExceeded),
    **_RESULT,
)
def complete_task(
    caller: Caller, task_id: int, query: dict[str, Any], body: dict[str, Any]
) -> Response:
    """Completes a task, or the current occurrence of a recurring task.

    The due date of a recurring task advances to the next occurrence, and its subtasks are reopened.
    After the last occurrence the task is completed.
    """
    return _result(service.complete(caller, task_id, **query | body, if_match=if_match(request)))


@occurrences.post("/<id:task_id>/skip")
@operation(
    summary="Skip an occurrence",
    query=schemas.AdvanceQuery(),
    example=schemas.SKIPPED_EXAMPLE,
    problems=(*WRITE_PROBLEMS, NotRecurring, QuotaExceeded),
    **_RESULT,
)
def skip_occurrence(caller: Caller, task_id: int, query: dict[str, Any]) -> Response:
    """Skips the current occurrence of a recurring task.

    The task advances to its next occurrence, as if the current one had been completed.
    """
    return _result(service.skip(caller, task_id, **query, if_match=if_match(request)))


@occurrences.post("/<id:task_id>/undo")
@operation(
    summary="Undo an occurrence",
    example=schemas.UNDONE_EXAMPLE,
    problems=(*WRITE_PROBLEMS, NothingToUndo),
    **_RESULT,
)
def undo_occurrence(caller: Caller, task_id: int) -> Response:
    """Undoes the last completed or skipped occurrence.

    The task is reopened and gets the due date of that occurrence, which is removed from the
    history. Subtasks do not change.
    """
    return _result(service.undo(caller, task_id, if_match(request)))


@occurrences.get("/<id:task_id>/occurrences")
@operation(
    summary="List occurrences",
    **TASK.reading,
    query=PageQuery(),
    response=schemas.OccurrencePage,
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
    rows = [schemas.represent(row) for row in found.rows or ()]
    return json_response(
        {"occurrences": rows, "total": found.total, "next_cursor": found.next_cursor}
    )


def _result(result: OccurrenceResult) -> Response:
    task = TASK.represent(result.task)
    occurrence = result.occurrence and schemas.represent(result.occurrence)
    following = task["due"] if result.has_next else None
    payload = {"task": task, "occurrence": occurrence, "next": following}
    return json_response(payload, headers={"ETag": entity_tag(result.task.version)})
