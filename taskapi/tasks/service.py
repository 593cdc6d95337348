"""Use cases of tasks: each takes the caller first and answers with plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.core import database
from taskapi.core.errors import Forbidden, NotFound, Problem
from taskapi.core.identity import Caller
from taskapi.core.listing import Listed, listed
from taskapi.core.logging import note
from taskapi.core.ownership import scope
from taskapi.core.pagination import page_of
from taskapi.labels.service import get_label
from taskapi.lists.service import demand_list, inbox_of
from taskapi.tasks import arranging
from taskapi.tasks.columns import may_concern_others, stored
from taskapi.tasks.orders import SORTS
from taskapi.tasks.statements import Within, labelling, task_page, tasks

Task = dict[str, Any]


class TooManyLabels(Problem):
    """The task has as many labels as it can have."""

    status = 409
    code = "too_many_labels"
    title = "Too many labels"
    detail = "The task has 100 labels, and can have no more."


def list_tasks(caller: Caller, query: Mapping[str, Any], *, known: list[int] | None) -> Listed:
    """A page of the caller's tasks.

    Args:
        query: limit, cursor, sort, is_completed and list_id, checked.
        known: versions of the list that the client has; None for whichever there is.

    Raises:
        InvalidInput: the cursor is not one of this list in this order, or there is no such list.
        TokenInvalid: the caller's session is over.
    """
    page, list_id = page_of(query, SORTS), query.get("list_id")
    statement = task_page(
        page.sort,
        is_descending=page.is_descending,
        resumes=page.resumes,
        is_completed=query.get("is_completed"),
        within=_within(caller, list_id),
    )
    found = listed(caller, statement, page, known=known, list_id=list_id)
    if found.rows == [] and list_id:
        demand_list(caller, list_id)
    return found


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
        InvalidInput: there is no such list or parent, or the task cannot be there.
    """
    kept = stored(caller.user_id, values)
    create = tasks.create if kept.get("parent_id") is None else arranging.create_below
    task = create(caller, kept)
    note("task_created", task_id=task["id"])
    return task


def update_task(
    caller: Caller, task_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Task:
    """Set the given values of a task; the others stay.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
        InvalidInput: there is no such list or parent, or the task cannot be there.
    """
    kept = stored(caller.user_id, values)
    if may_concern_others(kept):
        task = tasks.update_alone(caller, task_id, kept, if_match)
        task = task or arranging.change(caller, task_id, kept, if_match)
    else:
        task = tasks.update(caller, task_id, kept, if_match)
    if values:
        note("task_updated", task_id=task_id)
    return task


def move_task(
    caller: Caller, task_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Task:
    """Put a task somewhere else: see `arranging.move`."""
    task = arranging.move(caller, task_id, stored(caller.user_id, values), if_match)
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


def _within(caller: Caller, list_id: int | None) -> Within:
    if list_id is None:
        return Within.ALL
    return Within.INBOX if list_id == inbox_of(caller) else Within.LIST
