"""Use cases that affect several tasks: a task, its parent, its subtasks and its siblings.

Each is a transaction that locks the workspace. A subtask is in the list of its parent. Subtasks are
completed, moved to another list and deleted with their parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.db import database
from taskapi.db.tenancy import locked, scope
from taskapi.identity import Caller
from taskapi.problems import InvalidInput
from taskapi.tasks import subtrees
from taskapi.tasks.default_timezone import with_zones
from taskapi.tasks.due_columns import due_of
from taskapi.tasks.dues import starts_in_time
from taskapi.tasks.merging import merged
from taskapi.tasks.models import MAX_DEPTH, Task
from taskapi.tasks.occurrences.advancing import complete_occurrence
from taskapi.tasks.queries import tasks
from taskapi.tasks.recurrence.service import GivenRecurrence, recurrence_for_due
from taskapi.tasks.values import MOMENTS, column_values, recurrence_of

Values = Mapping[str, Any]
"""Values of a task's fields."""

Columns = Mapping[str, Any]
"""Values of a task's columns."""

_COMPLETION = ("is_completed", "completed_at")

_NEW = 0
"""No task has this ID."""


def create_subtask(caller: Caller, values: Values) -> Task:
    """Add a subtask.

    Raises:
        SessionEnded: the caller's session has ended.
        InvalidInput: the parent is invalid, or not in that list.
    """
    columns = column_values(caller.workspace_id, values)
    with locked(caller):
        place = _place(caller, _NEW, columns, parent_id=None, list_id=None)
        return tasks.create(caller, {**columns, **place})


def update(caller: Caller, task_id: int, values: Values, if_match: list[int] | None) -> Task:
    """Set the given fields of a task, and change its subtasks accordingly.

    Completing a recurring task completes its current occurrence.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        InvalidInput: a field is invalid, or fields do not match.
        QuotaExceeded: as it says.
    """
    with locked(caller, changes_many=True):
        task = tasks.require(caller, task_id, "update", if_match)
        columns = _changed_columns(caller, task, with_zones(caller, merged(task, values)))
        completes, completed_at = columns.get("is_completed"), columns.get("completed_at")
        advances = completes and not task.is_completed and columns.get("rrule", task.rrule)
        if advances:
            columns = {n: v for n, v in columns.items() if n not in _COMPLETION}
        place = _changed_place(caller, task, columns)
        if place:
            place["position"] = subtrees.manual_order.last()
        if completes and not advances:
            subtrees.complete_subtasks(caller, task_id, completed_at)
        task = tasks.update(caller, task_id, {**columns, **place})
        recurrence = recurrence_of(task) if advances else None
        if recurrence is None:
            return task
        return complete_occurrence(caller, task, recurrence, completed_at=completed_at).task


def _changed_columns(caller: Caller, task: Task, values: Values) -> dict[str, Any]:
    """The values of the columns, with the recurrence and the start checked against the due."""
    before = {**{name: due_of(task, name) for name in MOMENTS}, "recurrence": recurrence_of(task)}
    known = matched(caller, {**before, **values}) if before.keys() & values.keys() else values
    return column_values(caller.workspace_id, {name: known[name] for name in values})


def delete(caller: Caller, task_id: int, if_match: list[int] | None) -> None:
    """Delete a task and its subtasks.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
    """
    with locked(caller, changes_many=True):
        tasks.require(caller, task_id, "delete", if_match)
        database.rows(subtrees.DELETION, id=task_id, **scope(caller))


def move(caller: Caller, task_id: int, values: Values, if_match: list[int] | None) -> Task:
    """Move a task into a list, below a parent and behind a sibling.

    Args:
        values: list_id and parent_id, which can be omitted, and after, the ID of a sibling. None
            moves the task to the start; without it, it moves to the end.

    Raises:
        SessionEnded, Forbidden, NotFound, PreconditionFailed: see `ContentTable`.
        InvalidInput: the list, parent or sibling is invalid.
    """
    with locked(caller, changes_many=True):
        task = tasks.require(caller, task_id, "update", if_match)
        place = _changed_place(caller, task, column_values(caller.workspace_id, values))
        target = {"list_id": task.list_id, "parent_id": task.parent_id, **place}
        target["list_id"] = target["list_id"] or caller.workspace_id
        position = subtrees.manual_order.new_position(caller, task_id, values, **target)
        return tasks.update(caller, task_id, {**place, "position": position})


def matched(caller: Caller, values: Values) -> dict[str, Any]:
    """The fields, with the start and the recurrence checked against the due.

    Raises:
        InvalidInput: they do not match.
        SessionEnded: the caller's session has ended.
    """
    if not starts_in_time(values.get("start"), values.get("due")):
        raise InvalidInput.at("/start", "Must not be after the due.", "after_due")
    given: GivenRecurrence | None = values.get("recurrence")
    if given is None:
        return dict(values)
    found = recurrence_for_due(caller, given, values.get("due"), pointer="/recurrence")
    return {**values, "recurrence": GivenRecurrence(found.rule, found.anchor, found.timezone)}


def _changed_place(caller: Caller, task: Task, columns: Columns) -> dict[str, Any]:
    """As `_place`, or nothing if list and parent do not change."""
    now = {"list_id": task.list_id, "parent_id": task.parent_id}
    if all(columns.get(name, value) == value for name, value in now.items()):
        return {}
    return _place(caller, task.id, columns, list_id=task.list_id, parent_id=task.parent_id)


def _place(
    caller: Caller, task_id: int, columns: Columns, *, list_id: int | None, parent_id: int | None
) -> dict[str, Any]:
    """The new list, parent and depth of a task. Its subtasks are updated too.

    Args:
        list_id, parent_id: the current ones.
    """
    parent_id, list_id = columns.get("parent_id", parent_id), columns.get("list_id", list_id)
    family = database.row(subtrees.FAMILY, id=task_id, parent_id=parent_id, **scope(caller))
    assert family, "it has one row"
    depth = 0
    if parent_id is not None:
        _require_parent(family, columns)
        list_id, depth = family["list_id"], family["depth"] + 1
    own_depth = family["own_depth"] or 0
    deepest = own_depth if family["deepest"] is None else family["deepest"]
    if deepest - own_depth + depth > MAX_DEPTH:
        message = f"A task can have at most {MAX_DEPTH} ancestors."
        raise InvalidInput.at("/parent_id", message, "too_deep")
    if deepest > own_depth:
        change = {"list_id": list_id, "deeper": depth - own_depth}
        tasks.checked(subtrees.RELOCATION, id=task_id, **change, **scope(caller))
    return {"list_id": list_id, "parent_id": parent_id, "depth": depth}


def _require_parent(family: Mapping[str, Any], columns: Columns) -> None:
    if family["parent_id"] is None:
        raise InvalidInput.at("/parent_id", "Task not found.", "unknown_reference")
    if family["is_inside"]:
        message = "Must be neither the task itself nor one of its subtasks."
        raise InvalidInput.at("/parent_id", message, "cycle")
    if "list_id" in columns and columns["list_id"] != family["list_id"]:
        message = "Must be the list of the parent. To leave that list, set parent_id to null too."
        raise InvalidInput.at("/list_id", message, "not_the_parents_list")
