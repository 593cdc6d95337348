"""Use cases of a task that concern others too: what is above it, below it and beside it.

Each is a transaction that has the account to itself. A subtask is in its parent's list. What is
done to a task, its subtasks follow: they are completed, moved to another list and deleted with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.db import database
from taskapi.db.tenancy import locked, scope
from taskapi.identity import Caller
from taskapi.problems import InvalidInput
from taskapi.tasks import subtrees
from taskapi.tasks.columns import recurrence_of, stored
from taskapi.tasks.due_columns import due_of
from taskapi.tasks.models import MAX_DEPTH
from taskapi.tasks.queries import tasks
from taskapi.tasks.recurrence.service import AskedRecurrence, fitting

Task = dict[str, Any]
Values = Mapping[str, Any]
"""Of a task, as clients give them."""

Stored = Mapping[str, Any]
"""Values as the table has them."""

_NEW = 0
"""No task has this id."""


def create_below(caller: Caller, values: Values) -> Task:
    """Add a subtask.

    Raises:
        TokenInvalid: the caller's session is over.
        InvalidInput: it cannot be there.
    """
    kept = stored(caller.user_id, values)
    with locked(caller):
        placed = _placed(caller, _NEW, kept, parent_id=None, list_id=None)
        return tasks.create(caller, {**kept, **placed})


def change(caller: Caller, task_id: int, values: Values, if_match: list[int] | None) -> Task:
    """Set the given values of a task, and what follows from them for those below it.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
        InvalidInput: it cannot be there, or its due and recurrence do not fit each other.
    """
    with locked(caller):
        task = tasks.demand(caller, task_id, "update", if_match)
        moments = {"due": due_of(task["due"]), "recurrence": recurrence_of(task)}
        known = fitted({**moments, **values})
        kept = stored(caller.user_id, {name: known[name] for name in values})
        placed = _changed_place(caller, task, kept)
        if kept.get("is_completed"):
            database.rows(subtrees.COMPLETION, id=task_id, **scope(caller))
        if placed:
            placed["position"] = subtrees.by_hand.last()
        return tasks.update(caller, task_id, {**kept, **placed})


def delete(caller: Caller, task_id: int, if_match: list[int] | None) -> None:
    """Remove a task and those below it.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    with locked(caller):
        tasks.demand(caller, task_id, "delete", if_match)
        database.rows(subtrees.DELETION, id=task_id, **scope(caller))


def move(caller: Caller, task_id: int, values: Values, if_match: list[int] | None) -> Task:
    """Put a task into a list, below a parent and behind a sibling.

    Args:
        values: list_id and parent_id, which stay if they are not given; and after, the id of the
            sibling: None puts the task first; without it, it becomes the last.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
        InvalidInput: it cannot be there.
    """
    with locked(caller):
        task = tasks.demand(caller, task_id, "update", if_match)
        placed = _changed_place(caller, task, stored(caller.user_id, values))
        target = {"list_id": _list_of(task), "parent_id": task["parent_id"], **placed}
        target["list_id"] = target["list_id"] or caller.user_id
        position = subtrees.by_hand.new_place(caller, task_id, values, **target)
        return tasks.update(caller, task_id, {**placed, "position": position})


def fitted(values: Values) -> dict[str, Any]:
    """Values in which the recurrence, if there is one, fits the due.

    Raises:
        InvalidInput: it does not.
    """
    asked: AskedRecurrence | None = values.get("recurrence")
    if asked is None:
        return dict(values)
    found = fitting(
        asked.rule, asked.anchor, asked.timezone, values.get("due"), pointer="/recurrence"
    )
    return {**values, "recurrence": asked._replace(timezone=found.timezone)}


def _changed_place(caller: Caller, task: Task, values: Stored) -> dict[str, Any]:
    """As `_placed`, or nothing when the task stays where it is."""
    now = {"list_id": _list_of(task), "parent_id": task["parent_id"]}
    if all(values.get(name, value) == value for name, value in now.items()):
        return {}
    return _placed(caller, task["id"], values, **now)


def _placed(
    caller: Caller, task_id: int, values: Stored, *, list_id: int | None, parent_id: int | None
) -> dict[str, Any]:
    """The list, parent and depth that a task gets; those below it get theirs.

    Args:
        list_id, parent_id: where it is so far.
    """
    parent_id, list_id = values.get("parent_id", parent_id), values.get("list_id", list_id)
    family = database.row(subtrees.FAMILY, id=task_id, parent_id=parent_id, **scope(caller))
    assert family, "it has one row"
    depth = 0
    if parent_id is not None:
        _demand_parent(family, values)
        list_id, depth = family["list_id"], family["depth"] + 1
    own_depth = family["own_depth"] or 0
    deepest = own_depth if family["deepest"] is None else family["deepest"]
    if deepest - own_depth + depth > MAX_DEPTH:
        message = f"A task can have at most {MAX_DEPTH} others above it."
        raise InvalidInput.at("/parent_id", message, "too_deep")
    if deepest > own_depth:
        below = {"list_id": list_id, "deeper": depth - own_depth}
        tasks.write(subtrees.PLACING, id=task_id, **below, **scope(caller))
    return {"list_id": list_id, "parent_id": parent_id, "depth": depth}


def _demand_parent(family: Mapping[str, Any], values: Stored) -> None:
    if family["parent_id"] is None:
        message = "You have no task with this id."
        raise InvalidInput.at("/parent_id", message, "unknown_reference")
    if family["is_inside"]:
        message = "Must be neither the task itself nor one below it."
        raise InvalidInput.at("/parent_id", message, "cycle")
    if "list_id" in values and values["list_id"] != family["list_id"]:
        message = "Must be the list of its parent; to leave that, give parent_id null too."
        raise InvalidInput.at("/list_id", message, "not_the_parents_list")


def _list_of(task: Task) -> int | None:
    """A task's list as the table has it."""
    list_id: int = task["list_id"]
    return None if list_id == task["user_id"] else list_id
