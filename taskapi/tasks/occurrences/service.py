"""Use cases of occurrences: each takes the caller first and answers with plain values.

A task that comes again is one task, whose due moves on. What is over stays in a ledger, from where
it can be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from taskapi.db import database
from taskapi.db.listing import Listed, listed
from taskapi.db.pages import page_of
from taskapi.db.tenancy import locked, scope
from taskapi.identity import Caller
from taskapi.logs import note
from taskapi.problems import Problem
from taskapi.tasks import service as tasks
from taskapi.tasks.due_columns import due_of, stored_due
from taskapi.tasks.dues import Due
from taskapi.tasks.occurrences.queries import LAST, SORTS, occurrence_page, occurrences
from taskapi.tasks.recurrence.service import Anchor, Following, fitting, next_due

Task = dict[str, Any]
Occurrence = dict[str, Any]


class Over(NamedTuple):
    """A task after an occurrence of it is over, or was taken back.

    `occurrence` is None for a task that does not come again, and `next` where none is to come.
    """

    task: Task
    occurrence: Occurrence | None
    next: dict[str, str] | None


class NotRecurring(Problem):
    """The task does not come again, so that nothing can be skipped."""

    status = 409
    code = "not_recurring"
    title = "Not recurring"
    detail = "The task is completed, or has no recurrence: there is no occurrence to skip."


class NothingToUndo(Problem):
    """No occurrence of the task is over."""

    status = 409
    code = "nothing_to_undo"
    title = "Nothing to undo"
    detail = "No occurrence of this task was completed or skipped."


def complete(
    caller: Caller, task_id: int, *, keep_missed: bool, if_match: list[int] | None
) -> Over:
    """Complete the present occurrence of a task; one that does not come again is completed.

    Args:
        keep_missed: whether the next occurrence may be one that is over by now.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    with locked(caller):
        task = tasks.demand_task(caller, task_id, if_match)
        if tasks.is_recurring(task):
            over = _over(caller, task, "completed", keep_missed=keep_missed)
        else:
            over = Over(_completed(caller, task), None, None)
    note("task_completed", task_id=task_id)
    return over


def skip(caller: Caller, task_id: int, *, keep_missed: bool, if_match: list[int] | None) -> Over:
    """Leave the present occurrence of a task out.

    Args:
        keep_missed: whether the next occurrence may be one that is over by now.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
        NotRecurring: it does not come again.
    """
    with locked(caller):
        task = tasks.demand_task(caller, task_id, if_match)
        if not tasks.is_recurring(task):
            raise NotRecurring
        over = _over(caller, task, "skipped", keep_missed=keep_missed)
    note("occurrence_skipped", task_id=task_id)
    return over


def undo(caller: Caller, task_id: int, if_match: list[int] | None) -> Over:
    """Take back what was last completed or skipped of a task: it is due then, and open.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
        NothingToUndo: no occurrence of it is over.
        InvalidInput: it has another rule by now, which the due does not fit.
    """
    with locked(caller):
        task = tasks.demand_task(caller, task_id, if_match)
        last = database.row(LAST, task_id=task_id, **scope(caller))
        if last is None:
            raise NothingToUndo
        due, occurred = due_of(last["due"]), last.pop("occurred")
        assert due, "each occurrence has one"
        if task["recurrence"]:
            _demand_fit(task, due)
            if task["recurrence"]["occurred"] is None:
                occurred = None  # it was counted by another rule
        occurrences.delete(caller, last["id"])
        task = tasks.set_occurrence(caller, task_id, due, occurred)
    note("occurrence_undone", task_id=task_id)
    return Over(task, last, task["due"])


def list_occurrences(caller: Caller, task_id: int, query: Mapping[str, Any]) -> Listed:
    """A page of what is over of a task, newest first.

    Args:
        query: limit and cursor, checked.

    Raises:
        InvalidInput: the cursor is not one of this list.
        TokenInvalid, Forbidden, NotFound: see `OwnedTable`.
    """
    page = page_of(query, SORTS)
    found = listed(caller, occurrence_page(page.reading), page, known=[], task_id=task_id)
    if not found.rows:
        tasks.get_task(caller, task_id)
    return found


def _over(caller: Caller, task: Task, outcome: str, *, keep_missed: bool) -> Over:
    occurred = task["recurrence"]["occurred"]
    following = _following(task, datetime.now(UTC), keep_missed=keep_missed)
    entry = {
        "task_id": task["id"],
        "outcome": outcome,
        "missed": following.skipped if following else 0,
        "occurred": occurred,
        **stored_due("due", due_of(task["due"])),
    }
    occurrence = occurrences.create(caller, entry)
    if following is None:
        return Over(_completed(caller, task), occurrence, None)
    tasks.open_below(caller, task["id"])
    task = tasks.set_occurrence(caller, task["id"], following.due, following.occurred)
    return Over(task, occurrence, task["due"])


def _following(task: Task, now: datetime, *, keep_missed: bool) -> Following | None:
    due, recurrence = due_of(task["due"]), tasks.recurrence_of_task(task)
    assert due, "whatever comes again has one"
    is_anchored = recurrence.anchor is Anchor.COMPLETION
    return next_due(
        recurrence,
        due,
        completed_at=now if is_anchored else None,
        after=None if is_anchored or keep_missed else now,
        occurred=task["recurrence"]["occurred"],
    )


def _demand_fit(task: Task, due: Due) -> None:
    recurrence = tasks.recurrence_of_task(task)
    known = (recurrence.rule, recurrence.anchor, recurrence.timezone)
    fitting(*known, due, pointer="/recurrence")


def _completed(caller: Caller, task: Task) -> Task:
    if task["is_completed"]:
        return task
    return tasks.update_task(caller, task["id"], {"is_completed": True}, None)
