"""Use cases of tasks. The first argument is the caller; the result is rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.db.constraints import ReferenceMissing
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import Forbidden, NotFound, Problem
from taskapi.tasks import hierarchy
from taskapi.tasks.default_timezone import with_zones
from taskapi.tasks.labels.service import get_label
from taskapi.tasks.merging import is_partial
from taskapi.tasks.models import MAX_LABELS, Task
from taskapi.tasks.queries import labelling, may_affect_others, tasks
from taskapi.tasks.values import column_values

Values = Mapping[str, Any]
"""Values of a task's fields."""


class TooManyLabels(Problem):
    """The task has the maximum number of labels."""

    status = 409
    code = "too_many_labels"
    title = "Too many labels"
    detail = f"The task has the maximum number of labels, {MAX_LABELS}."


def get_task(caller: Caller, task_id: int) -> Task:
    """One task.

    Raises:
        SessionEnded, Forbidden, NotFound: see `ContentTable`.
    """
    return tasks.get(caller, task_id)


def create_task(caller: Caller, values: Values) -> Task:
    """Add a task.

    Raises:
        SessionEnded: the caller's session has ended.
        InvalidInput: the list, the parent or a label is invalid, or the due and the recurrence do
            not match.
    """
    values = hierarchy.matched(caller, with_zones(caller, values))
    if values.get("parent_id") is None:
        task = tasks.create(caller, column_values(caller.workspace_id, values))
    else:
        task = hierarchy.create_subtask(caller, values)
    log_event("task_created", task_id=task.id)
    return task


def update_task(caller: Caller, task_id: int, values: Values, if_match: list[int] | None) -> Task:
    """Set the given fields of a task.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        InvalidInput: the list, the parent or a label is invalid, or the due and the recurrence do
            not match.
    """
    values = with_zones(caller, values)
    if is_partial(values):
        task = hierarchy.update(caller, task_id, values, if_match)
    else:
        task = _update_whole(caller, task_id, values, if_match)
    if values:
        log_event("task_updated", task_id=task_id)
    return task


def _update_whole(caller: Caller, task_id: int, values: Values, if_match: list[int] | None) -> Task:
    matched = hierarchy.matched(caller, values) if "due" in values else values
    columns = column_values(caller.workspace_id, matched)
    if not may_affect_others(columns):
        return tasks.update(caller, task_id, columns, if_match)
    task = tasks.update_standalone(caller, task_id, columns, if_match)
    return task or hierarchy.update(caller, task_id, values, if_match)


def move_task(caller: Caller, task_id: int, values: Values, if_match: list[int] | None) -> Task:
    """Move a task: see `hierarchy.move`."""
    task = hierarchy.move(caller, task_id, values, if_match)
    log_event("task_moved", task_id=task_id)
    return task


def delete_task(caller: Caller, task_id: int, if_match: list[int] | None) -> None:
    """Delete a task and its subtasks.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
    """
    try:
        if not tasks.delete_simple(caller, task_id, if_match):
            # Before the lock, which nobody should take for a task that does not exist.
            tasks.require(caller, task_id, "delete", if_match)
            hierarchy.delete(caller, task_id, if_match)
    except ReferenceMissing as missing:
        if missing.constraint != "fk_tasks_tasks":
            raise
        hierarchy.delete(caller, task_id, if_match)
    log_event("task_deleted", task_id=task_id)


def add_label(caller: Caller, task_id: int, label_id: int, if_match: list[int] | None) -> Task:
    """Add a label to a task. A task that has the label does not change.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`; also for the
            label.
        TooManyLabels: the task has the maximum number of labels.
    """
    task = _labelled(caller, task_id, label_id, if_match, adds=True)
    if label_id not in (task.label_ids or ()):
        raise TooManyLabels
    return task


def remove_label(caller: Caller, task_id: int, label_id: int, if_match: list[int] | None) -> Task:
    """Remove a label from a task. A task without the label does not change.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`; also for the
            label.
    """
    return _labelled(caller, task_id, label_id, if_match, adds=False)


def _labelled(
    caller: Caller, task_id: int, label_id: int, if_match: list[int] | None, *, adds: bool
) -> Task:
    parameters = {"id": task_id, "label_id": label_id, "if_match": if_match, **scope(caller)}
    task = tasks.write(labelling(adds=adds), **parameters)
    if task is None:
        tasks.raise_for_missing(caller, task_id, "update", if_match, _no_label(caller, label_id))
    log_event("task_updated", task_id=task_id)
    return task


def _no_label(caller: Caller, label_id: int) -> Problem | None:
    """The reason why the caller cannot use a label."""
    try:
        get_label(caller, label_id)
    except (Forbidden, NotFound) as problem:
        return problem
    return None
