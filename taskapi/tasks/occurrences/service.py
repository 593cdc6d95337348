"""Use cases of occurrences. The first argument is the caller; the result is rows.

A recurring task is a single task whose due date advances. Completed and skipped occurrences stay in
its history, and the last one can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from taskapi.db import database
from taskapi.db.listing import Page, read_page
from taskapi.db.pages import page_request
from taskapi.db.tenancy import locked, scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import Problem
from taskapi.tasks.due_columns import due_of
from taskapi.tasks.models import Task
from taskapi.tasks.occurrences.advancing import (
    OccurrenceResult,
    complete_occurrence,
    finish,
    set_occurrence,
    skip_occurrence,
)
from taskapi.tasks.occurrences.models import Occurrence
from taskapi.tasks.occurrences.queries import LAST, SORTS, occurrence_page, occurrences
from taskapi.tasks.queries import tasks
from taskapi.tasks.recurrence.service import Recurrence, recurrence_for_due
from taskapi.tasks.service import get_task
from taskapi.tasks.values import recurrence_of


class NotRecurring(Problem):
    """The task is completed or does not recur, so it has no occurrence to skip."""

    status = 409
    code = "not_recurring"
    title = "Not recurring"
    detail = "The task is completed or does not recur, so it has no occurrence to skip."


class NothingToUndo(Problem):
    """The task has no completed or skipped occurrence."""

    status = 409
    code = "nothing_to_undo"
    title = "Nothing to undo"
    detail = "The task has no completed or skipped occurrence."


def complete(
    caller: Caller,
    task_id: int,
    *,
    completed_at: datetime | None = None,
    keep_missed: bool = False,
    if_match: list[int] | None,
) -> OccurrenceResult:
    """Complete the current occurrence of a task, or a task that does not recur.

    Args:
        completed_at: when it was completed; None for now.
        keep_missed: whether the next occurrence can be in the past.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
    """
    with locked(caller, changes_many=True):
        task = tasks.require(caller, task_id, "update", if_match)
        recurrence = _open_recurrence(task)
        if recurrence:
            result = complete_occurrence(
                caller, task, recurrence, completed_at=completed_at, keep_missed=keep_missed
            )
        else:
            done = task if task.is_completed else finish(caller, task, completed_at)
            result = OccurrenceResult(done, None, has_next=False)
    log_event("task_completed", task_id=task_id)
    return result


def skip(
    caller: Caller, task_id: int, *, keep_missed: bool, if_match: list[int] | None
) -> OccurrenceResult:
    """Skip the current occurrence of a task.

    Args:
        keep_missed: whether the next occurrence can be in the past.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        NotRecurring: the task has no current occurrence.
    """
    with locked(caller, changes_many=True):
        task = tasks.require(caller, task_id, "update", if_match)
        recurrence = _open_recurrence(task)
        if recurrence is None:
            raise NotRecurring
        result = skip_occurrence(caller, task, recurrence, keep_missed=keep_missed)
    log_event("occurrence_skipped", task_id=task_id)
    return result


def undo(caller: Caller, task_id: int, if_match: list[int] | None) -> OccurrenceResult:
    """Undo the last completed or skipped occurrence: reopen the task and restore its due.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        NothingToUndo: the history is empty.
        InvalidInput: the task has another rule now, which does not match that due.
    """
    with locked(caller, changes_many=True):
        task = tasks.require(caller, task_id, "update", if_match)
        rows = database.rows(LAST, task_id=task_id, **scope(caller))
        if not rows:
            raise NothingToUndo
        last = occurrences.row(rows[0])
        due, occurred = due_of(last), last.occurred
        assert due, "each occurrence has one"
        recurrence = recurrence_of(task)
        if recurrence:
            recurrence_for_due(caller, recurrence, due, pointer="/recurrence")
            if task.occurred is None:
                occurred = None  # it belongs to another rule
        occurrences.delete(caller, last.id)
        task = set_occurrence(caller, task, due, occurred, -last.moved_days)
    log_event("occurrence_undone", task_id=task_id)
    return OccurrenceResult(task, last, has_next=True)


def list_occurrences(caller: Caller, task_id: int, query: Mapping[str, Any]) -> Page[Occurrence]:
    """A page of a task's occurrence history, newest first.

    Args:
        query: the validated limit and cursor.

    Raises:
        InvalidInput: the cursor belongs to another list.
        SessionEnded, Forbidden, NotFound: see `ContentTable`.
    """
    request = page_request(query, SORTS)
    statement = occurrence_page(request.ordering)
    page = read_page(caller, occurrences, statement, request, known=[], task_id=task_id)
    if not page.rows:
        get_task(caller, task_id)
    return page


def _open_recurrence(task: Task) -> Recurrence | None:
    """The recurrence of a task that has an occurrence to complete."""
    return None if task.is_completed else recurrence_of(task)
