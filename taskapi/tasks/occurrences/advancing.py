"""Advances a recurring task. The caller must have locked the workspace (`tenancy.locked`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from taskapi.db import database
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.tasks import subtrees
from taskapi.tasks.due_columns import due_columns, due_of
from taskapi.tasks.dues import Due
from taskapi.tasks.models import Task
from taskapi.tasks.occurrences.models import Occurrence
from taskapi.tasks.occurrences.queries import occurrences
from taskapi.tasks.queries import tasks
from taskapi.tasks.recurrence.service import Anchor, Following, Recurrence, moved_start, next_due


class OccurrenceResult(NamedTuple):
    """A task after an occurrence was completed, skipped or undone.

    `occurrence` is None for a task that does not recur. `has_next` means that another occurrence
    follows.
    """

    task: Task
    occurrence: Occurrence | None
    has_next: bool


def complete_occurrence(
    caller: Caller,
    task: Task,
    recurrence: Recurrence,
    *,
    completed_at: datetime | None,
    keep_missed: bool = False,
) -> OccurrenceResult:
    """Complete the current occurrence. Below a completed parent, it is the last one.

    Args:
        completed_at: when it was completed; None for now.
        keep_missed: whether the next occurrence can be in the past.
    """
    at = completed_at or datetime.now(UTC)
    if task.parent_id and tasks.get(caller, task.parent_id).is_completed:
        following = Following(None, 0, task.occurred or 0, 0)
    elif recurrence.anchor is Anchor.COMPLETION:
        following = _following(task, recurrence, completed_at=at, after=None)
    else:
        following = _following(task, recurrence, after=None if keep_missed else at)
    return _advance(caller, task, following, "completed", completed_at)


def skip_occurrence(
    caller: Caller, task: Task, recurrence: Recurrence, *, keep_missed: bool
) -> OccurrenceResult:
    """Skip the current occurrence.

    Args:
        keep_missed: whether the next occurrence can be in the past.
    """
    following = _following(task, recurrence, after=None if keep_missed else datetime.now(UTC))
    return _advance(caller, task, following, "skipped", None)


def finish(caller: Caller, task: Task, completed_at: datetime | None) -> Task:
    """Complete a task and its subtasks.

    Raises:
        QuotaExceeded: occurrences of recurring subtasks would exceed the quota.
    """
    values: dict[str, Any] = {"is_completed": True}
    if completed_at:
        values["completed_at"] = completed_at
    done = None if task.rrule else tasks.update_standalone(caller, task.id, values)
    if done is None:
        subtrees.complete_subtasks(caller, task.id, completed_at)
        done = tasks.update(caller, task.id, values)
    return done


def set_occurrence(caller: Caller, task: Task, due: Due, occurred: int | None, days: int) -> Task:
    """Reopen a task, set its due and the number of occurrences, and move what depends on the due.

    Args:
        days: the days by which its start and the dates of its subtasks move. A start that would be
            after the due becomes the due.
    """
    start = due_of(task, "start")
    moved = moved_start(start, due, days)
    values = {"is_completed": False, "occurred": occurred, **due_columns("due", due)}
    if moved != start:
        values |= due_columns("start", moved)
    if days:
        subtrees.move_dates(caller, task.id, days)
    return tasks.update(caller, task.id, values)


def _following(
    task: Task,
    recurrence: Recurrence,
    *,
    completed_at: datetime | None = None,
    after: datetime | None,
) -> Following:
    return next_due(
        recurrence, _due(task), completed_at=completed_at, after=after, occurred=task.occurred
    )


def _advance(
    caller: Caller, task: Task, following: Following, outcome: str, completed_at: datetime | None
) -> OccurrenceResult:
    """Add the current occurrence to the history, and advance the task to the next one."""
    entry = {
        "task_id": task.id,
        "outcome": outcome,
        "completed_at": completed_at,
        "missed": following.skipped,
        "occurred": task.occurred,
        "moved_days": following.days,
        **due_columns("due", _due(task)),
    }
    occurrence = occurrences.create(caller, entry)
    if following.due is None:
        return OccurrenceResult(finish(caller, task, completed_at), occurrence, has_next=False)
    database.rows(subtrees.REOPENING, id=task.id, **scope(caller))
    task = set_occurrence(caller, task, following.due, following.occurred, following.days)
    return OccurrenceResult(task, occurrence, has_next=True)


def _due(task: Task) -> Due:
    due = due_of(task)
    assert due, "a recurring task has one"
    return due
