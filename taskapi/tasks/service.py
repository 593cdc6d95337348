"""Use cases of tasks: each takes the caller first and answers with plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from taskapi.core.errors import TokenInvalid
from taskapi.core.identity import Caller
from taskapi.core.logging import note
from taskapi.core.ownership import scope
from taskapi.core.pagination import page_of
from taskapi.core.preconditions import is_known
from taskapi.core.replicas import page_rows
from taskapi.tasks.statements import SORTS, task_page, tasks

Task = dict[str, Any]


class TaskList(NamedTuple):
    """A page of tasks; `tasks` is None when the client has this version of the list already."""

    tasks: list[Task] | None
    total: int
    next_cursor: str | None
    version: int


def list_tasks(caller: Caller, query: Mapping[str, Any], *, known: list[int] | None) -> TaskList:
    """A page of the caller's tasks.

    Args:
        query: limit, cursor, sort and is_completed, checked.
        known: versions of the list that the client has; None for whichever there is.

    Raises:
        InvalidInput: the cursor is not one of this list in this order.
        TokenInvalid: the caller's session is over.
    """
    page = page_of(query, SORTS)
    name = page.sort.lstrip("-")
    statement = task_page(
        name,
        is_descending=page.is_descending,
        resumes=page.after is not None,
        is_completed=query.get("is_completed"),
    )
    rows = page_rows(statement, known=known, **page.parameters(), **scope(caller))
    if not rows:
        raise TokenInvalid
    version, total = rows[0][:2]
    if is_known(version, known):
        return TaskList(None, total, None, version)
    names = statement.columns[2:]
    found = [dict(zip(names, row[2:], strict=True)) for row in rows if row[2] is not None]
    shown, next_cursor = page.cut(found, SORTS[name])
    return TaskList(shown, total, next_cursor, version)


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
    task = tasks.create(caller, values)
    note("task_created", task_id=task["id"])
    return task


def update_task(
    caller: Caller, task_id: int, values: dict[str, Any], if_match: list[int] | None
) -> Task:
    """Set the given values of a task; the others stay.

    Raises:
        TokenInvalid, Forbidden, NotFound, PreconditionFailed: see `OwnedTable`.
    """
    task = tasks.update(caller, task_id, values, if_match)
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
