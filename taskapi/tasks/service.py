"""Use cases of tasks: each takes the caller first and answers with plain values."""

from __future__ import annotations

from typing import Any

from taskapi.db import database
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.logs import note
from taskapi.problems import Forbidden, NotFound, Problem
from taskapi.tasks import arranging, subtrees
from taskapi.tasks.columns import may_need_more, recurrence_of, stored
from taskapi.tasks.due_columns import stored_due
from taskapi.tasks.dues import Due
from taskapi.tasks.labels.service import get_label
from taskapi.tasks.models import MAX_LABELS
from taskapi.tasks.queries import labelling, tasks
from taskapi.tasks.recurrence.service import Recurrence

Task = dict[str, Any]


class TooManyLabels(Problem):
    """The task has as many labels as it can have."""

    status = 409
    code = "too_many_labels"
    title = "Too many labels"
    detail = f"The task has {MAX_LABELS} labels, and can have no more."


def get_task(caller: Caller, task_id: int) -> Task:
    """One task.

    Raises:
        TokenInvalid, Forbidden, NotFound: see `OwnedTable`.
    """
    return tasks.get(caller, task_id)


def create_task(caller: Caller, values: dict[str, Any]) -> Task:
    """Add a task.

    Raises:
        TokenInvalid: the caller's session is over.
        InvalidInput: there is no such list, parent or label, the task cannot be there, or its due
            and its recurrence do not fit each other.
    """
    values = arranging.fitted(values)
    if values.get("parent_id") is None:
        task = tasks.create(caller, stored(caller.user_id, values))
    else:
        task = arranging.create_below(caller, values)
    note("task_created", task_id=task["id"])
    return task


def update_task(
    caller: Caller, task_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Task:
    """Set the given values of a task; the others stay.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
        InvalidInput: there is no such list, parent or label, the task cannot be there, or its due
            and its recurrence do not fit each other.
    """
    kept = stored(caller.user_id, arranging.fitted(values) if "due" in values else values)
    if may_need_more(kept):
        task = tasks.update_alone(caller, task_id, kept, if_match)
        task = task or arranging.change(caller, task_id, values, if_match)
    else:
        task = tasks.update(caller, task_id, kept, if_match)
    if values:
        note("task_updated", task_id=task_id)
    return task


def move_task(
    caller: Caller, task_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Task:
    """Put a task somewhere else: see `arranging.move`."""
    task = arranging.move(caller, task_id, values, if_match)
    note("task_moved", task_id=task_id)
    return task


def delete_task(caller: Caller, task_id: int, if_match: list[int] | None) -> None:
    """Remove a task, and those below it.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    try:
        tasks.delete(caller, task_id, if_match)
    except database.ReferenceMissing:
        arranging.delete(caller, task_id, if_match)
    note("task_deleted", task_id=task_id)


def add_label(caller: Caller, task_id: int, label_id: int, if_match: list[int] | None) -> Task:
    """Put a label on a task; one that has it stays as it is.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`; of the label too.
        TooManyLabels: it has a hundred others.
    """
    task = _labelled(caller, task_id, label_id, if_match, adds=True)
    if label_id not in task["label_ids"]:
        raise TooManyLabels
    return task


def remove_label(caller: Caller, task_id: int, label_id: int, if_match: list[int] | None) -> Task:
    """Take a label off a task; one that does not have it stays as it is.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`; of the label too.
    """
    return _labelled(caller, task_id, label_id, if_match, adds=False)


def demand_task(caller: Caller, task_id: int, if_match: list[int] | None) -> Task:
    """A task that is to be changed.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    return tasks.demand(caller, task_id, "update", if_match)


def is_recurring(task: Task) -> bool:
    """Whether there is an occurrence to complete."""
    return task["recurrence"] is not None and not task["is_completed"]


def recurrence_of_task(task: Task) -> Recurrence:
    """How a task comes again that does."""
    asked = recurrence_of(task)
    assert asked, "it comes again"
    return Recurrence(asked.rule, asked.anchor, task["recurrence"]["timezone"])


def set_occurrence(caller: Caller, task_id: int, due: Due, occurred: int | None) -> Task:
    """Make a task open and due, as the occurrence of its rule that has this number."""
    values = {"is_completed": False, "occurred": occurred, **stored_due("due", due)}
    return tasks.update(caller, task_id, values)


def open_below(caller: Caller, task_id: int) -> None:
    """Open all tasks below one, while the account is locked."""
    database.rows(subtrees.REOPENING, id=task_id, **scope(caller))


def _labelled(
    caller: Caller, task_id: int, label_id: int, if_match: list[int] | None, *, adds: bool
) -> Task:
    parameters = {"id": task_id, "label_id": label_id, "if_match": if_match, **scope(caller)}
    task = tasks.write(labelling(adds=adds), **parameters)
    if task is None:
        tasks.refuse(caller, task_id, "update", if_match, _no_label(caller, label_id))
    note("task_updated", task_id=task_id)
    return task


def _no_label(caller: Caller, label_id: int) -> Problem | None:
    """Why the caller cannot use a label."""
    try:
        get_label(caller, label_id)
    except (Forbidden, NotFound) as problem:
        return problem
    return None
