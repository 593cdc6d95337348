"""The SQL of pages of tasks."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, column, null, true

from taskapi.db.pages import Ordering
from taskapi.db.positions import BY_POSITION
from taskapi.db.statement import Statement
from taskapi.extensions import table_of
from taskapi.tasks.filters.conditions import MISSING, Shape, condition
from taskapi.tasks.models import Task
from taskapi.tasks.queries import list_column, tasks

_tasks = table_of(Task)
_LIST_ID = bindparam("list_id", type_=BigInteger)

FILTER_STATEMENTS = 32
"""The number of filter statements that a worker caches. Clients can send any number of filters."""

_TOTALS: dict[bool | None, ColumnElement[int]] = {
    None: column("task_count", BigInteger),
    True: column("completed_task_count", BigInteger),
    False: column("task_count", BigInteger) - column("completed_task_count", BigInteger),
}

UNCOUNTED: ColumnElement[Any] = null()


class Within(Enum):
    """The lists of a page of tasks."""

    ALL = auto()
    INBOX = auto()
    LIST = auto()


@cache
def task_page(
    ordering: Ordering, *, is_completed: bool | None, within: Within, counts: bool = False
) -> Statement:
    """A page of the workspace's tasks.

    Args:
        is_completed: the state of the tasks; None for all.
        within: unless it is ALL, the statement has the parameter list_id.
        counts: whether to count the tasks of a list.
    """
    parts = states(ordering, is_completed=is_completed)
    total: ColumnElement[Any] | None = _TOTALS[is_completed]
    if within is not Within.ALL:
        inside = _tasks.c.list_id == _LIST_ID
        if ordering.sort is BY_POSITION:  # its index contains the ID of the inbox
            inside = list_column(_tasks) == _LIST_ID
        elif within is Within.INBOX:
            inside = _tasks.c.list_id.is_(None)
        parts = [and_(part, inside) for part in parts]
        total = None if counts else UNCOUNTED
    return tasks.page(ordering, parts=parts, total=total)


@lru_cache(FILTER_STATEMENTS)
def filtered_page(
    ordering: Ordering, *, is_completed: bool | None, shape: Shape, counts: bool = False
) -> Statement:
    """A page of the tasks that match a filter of this shape, counted if requested."""
    # One part for each state, so that indexes that begin with the state can be used.
    wanted = (True, False) if is_completed is None else (is_completed,)
    by_state = [_tasks.c.is_completed.is_(state) for state in wanted]
    is_one = ordering.sort is BY_POSITION and is_completed is None
    parts = [and_(part, condition(shape)) for part in ([true()] if is_one else by_state)]
    total = None if counts else UNCOUNTED
    return tasks.page(ordering, parts=parts, total=total, missing=MISSING)


def states(ordering: Ordering, *, is_completed: bool | None) -> list[ColumnElement[bool]]:
    """The conditions of a page's parts: one for each state if the index begins with the state.

    Args:
        is_completed: the state of the tasks; None for all.
    """
    if is_completed is not None:
        return [_tasks.c.is_completed.is_(is_completed)]
    if ordering.sort.is_indexed:
        return [_tasks.c.is_completed.is_(state) for state in (True, False)]
    return [true()]
