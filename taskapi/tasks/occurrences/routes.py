"""The calls of occurrences."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.http.operations import Link, operation
from taskapi.http.pagination import PageQuery
from taskapi.http.preconditions import entity_tag, if_match
from taskapi.http.resources import OUT_OF_REACH, Resource
from taskapi.http.responses import answer
from taskapi.identity import Caller
from taskapi.problems import Forbidden, NotFound
from taskapi.tasks.occurrences import schemas, service
from taskapi.tasks.occurrences.service import NothingToUndo, NotRecurring, Over
from taskapi.tasks.schemas import EXAMPLE as TASK
from taskapi.tasks.schemas import Task, TaskConflict

occurrences = Blueprint("occurrences", __name__, url_prefix="/tasks")

_ID = {"task_id": "$response.body#/task/id"}
_STEP: dict[str, Any] = {
    "parameters": ("If-Match", "Idempotency-Key"),
    "answers": schemas.Step,
    "example": schemas.STEP_EXAMPLE,
    "headers": ("ETag", "Idempotency-Replayed"),
    "problem_shapes": Resource("task", Task, TaskConflict, TASK).conflict,
    "links": tuple(Link(name, _ID) for name in ("get_task", "list_occurrences")),
}


@occurrences.post("/<id:task_id>/complete")
@operation(
    summary="Complete an occurrence", query=schemas.StepQuery(), problems=OUT_OF_REACH, **_STEP
)
def complete_task(caller: Caller, task_id: int, query: dict[str, Any]) -> Response:
    """Completes a task, or the occurrence at which one is that comes again.

    That one is then due as its rule says, and what is below it is open again. After its last
    occurrence it is completed.
    """
    return _shown(service.complete(caller, task_id, **query, if_match=if_match(request)))


@occurrences.post("/<id:task_id>/skip")
@operation(
    summary="Skip an occurrence",
    query=schemas.StepQuery(),
    problems=(*OUT_OF_REACH, NotRecurring),
    **_STEP,
)
def skip_occurrence(caller: Caller, task_id: int, query: dict[str, Any]) -> Response:
    """Leaves the present occurrence out; all else is as if it had been completed."""
    return _shown(service.skip(caller, task_id, **query, if_match=if_match(request)))


@occurrences.post("/<id:task_id>/undo")
@operation(summary="Undo an occurrence", problems=(*OUT_OF_REACH, NothingToUndo), **_STEP)
def undo_occurrence(caller: Caller, task_id: int) -> Response:
    """Takes back what was last completed or skipped: the task is open, and due as it was then.

    The occurrence leaves the ledger. What is below the task stays as it is.
    """
    return _shown(service.undo(caller, task_id, if_match(request)))


@occurrences.get("/<id:task_id>/occurrences")
@operation(
    summary="List the occurrences",
    query=PageQuery(),
    answers=schemas.OccurrenceList,
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
    """What was completed and skipped of a task that comes again, newest first."""
    found = service.list_occurrences(caller, task_id, query)
    shown = {"total": found.total, "next_cursor": found.next_cursor}
    return answer({"occurrences": found.rows, **shown})


def _shown(over: Over) -> Response:
    return answer(over._asdict(), headers={"ETag": entity_tag(over.task["version"])})
