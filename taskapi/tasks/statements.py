"""How tasks are read, written, counted and sorted."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    and_,
    bindparam,
    cast,
    column,
    func,
    null,
    true,
)

from taskapi.core.owned_table import OwnedTable
from taskapi.core.ownership import ONE, owned_page
from taskapi.core.pagination import IN_ORDER_OF_CREATION, Sort, by_text, instant
from taskapi.core.statement import Statement
from taskapi.extensions import table_of
from taskapi.tasks.models import Task

_table = table_of(Task)


def _is_completed(rows: FromClause) -> ColumnElement[int]:
    return cast(rows.c.is_completed, Integer)


def _shown(rows: FromClause) -> Sequence[ColumnElement[Any]]:
    list_id = func.coalesce(rows.c.list_id, rows.c.user_id).label("list_id")
    return [list_id if column.name == "list_id" else column for column in rows.c]


tasks = OwnedTable(
    _table,
    "task",
    counts={"task_count": lambda rows: ONE, "completed_task_count": _is_completed},
    shown=_shown,
    references={"fk_tasks_lists": ("list_id", "list")},
)

SORTS = {
    "created_at": IN_ORDER_OF_CREATION,
    "updated_at": Sort(
        key=lambda rows: rows.c.updated_at,
        type=DateTime(timezone=True),
        value_of=lambda task: task["updated_at"],
        load=instant,
    ),
    "title": by_text("title"),
}

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
        within: LIST takes the parameter list_id.
    """
    parts: list[ColumnElement[bool]] = [true()]
    if is_completed is not None or sort.key is not None:
        states = (True, False) if is_completed is None else (is_completed,)
        parts = [_table.c.is_completed.is_(state) for state in states]
    total: ColumnElement[Any] = _TOTALS[is_completed]
    if within is not Within.ALL:
        list_id = _table.c.list_id
        inside = list_id.is_(None) if within is Within.INBOX else list_id == _LIST_ID
        parts = [and_(part, inside) for part in parts]
        total = null()
    return owned_page(
        _table,
        sort,
        is_descending=is_descending,
        resumes=resumes,
        total=total,
        parts=parts,
        shown=_shown,
    )
