"""Use cases of tasks: each takes the caller first and answers with plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.core.identity import Caller
from taskapi.core.listing import Listed, listed
from taskapi.core.logging import note
from taskapi.core.pagination import page_of
from taskapi.lists.service import demand_list, inbox_of
from taskapi.tasks.statements import SORTS, Within, task_page, tasks

Task = dict[str, Any]


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
    """
    task = tasks.create(caller, _stored(caller, values))
    note("task_created", task_id=task["id"])
    return task


def update_task(
    caller: Caller, task_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Task:
    """Set the given values of a task; the others stay.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    task = tasks.update(caller, task_id, _stored(caller, values), if_match)
    if values:
        note("task_updated", task_id=task_id)
    return task


def delete_task(caller: Caller, task_id: int, if_match: list[int] | None) -> None:
    """Remove a task.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    tasks.delete(caller, task_id, if_match)
    note("task_deleted", task_id=task_id)


def _within(caller: Caller, list_id: int | None) -> Within:
    if list_id is None:
        return Within.ALL
    return Within.INBOX if list_id == inbox_of(caller) else Within.LIST


def _stored(caller: Caller, values: dict[str, Any]) -> dict[str, Any]:
    """The values as the table has them: no list is named where it is the inbox."""
    return values | {"list_id": None} if values.get("list_id") == inbox_of(caller) else values
