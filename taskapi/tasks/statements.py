"""How tasks are read, written, counted and sorted."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    and_,
    bindparam,
    cast,
    column,
    null,
    true,
)

from taskapi.core.owned_table import OwnedTable
from taskapi.core.ownership import ONE, owned_page
from taskapi.core.pagination import IN_ORDER_OF_CREATION, Sort
from taskapi.core.statement import Statement
from taskapi.extensions import table_of
from taskapi.tasks.columns import derived, is_alone, shown
from taskapi.tasks.models import Task
from taskapi.tasks.orders import BY_PLACE, list_of

_table = table_of(Task)


def _is_completed(rows: FromClause) -> ColumnElement[int]:
    return cast(rows.c.is_completed, Integer)


tasks = OwnedTable(
    _table,
    "task",
    counts={"task_count": lambda rows: ONE, "completed_task_count": _is_completed},
    shown=shown,
    references={"fk_tasks_lists": ("list_id", "list")},
    derived=derived,
    alone=is_alone,
)

_LIST_ID = bindparam("list_id", type_=BigInteger)

_TOTALS: dict[bool | None, ColumnElement[int]] = {
    None: column("task_count", BigInteger),
    True: column("completed_task_count", BigInteger),
    False: column("task_count", BigInteger) - column("completed_task_count", BigInteger),
}


class Within(Enum):
    """Which lists the tasks of a page are in."""

    ALL = auto()
    INBOX = auto()
    LIST = auto()


@cache
def task_page(
    sort: Sort, *, is_descending: bool, resumes: bool, is_completed: bool | None, within: Within
) -> Statement:
    """The statement of a page of the caller's tasks.

    Args:
        is_completed: which tasks; None for all.
        within: but with ALL, the statement takes the parameter list_id.
    """
    parts: list[ColumnElement[bool]] = [true()]
    if is_completed is not None or sort not in (IN_ORDER_OF_CREATION, BY_PLACE):
        states = (True, False) if is_completed is None else (is_completed,)
        parts = [_table.c.is_completed.is_(state) for state in states]
    total: ColumnElement[Any] = _TOTALS[is_completed]
    if within is not Within.ALL:
        inside = _table.c.list_id == _LIST_ID
        if sort is BY_PLACE:  # whose index has the inbox like any other
            inside = list_of(_table) == _LIST_ID
        elif within is Within.INBOX:
            inside = _table.c.list_id.is_(None)
        parts = [and_(part, inside) for part in parts]
        total = null()
    return owned_page(
        _table,
        sort,
        is_descending=is_descending,
        resumes=resumes,
        total=total,
        parts=parts,
        shown=shown,
    )
