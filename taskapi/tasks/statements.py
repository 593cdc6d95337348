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
    Text,
    and_,
    bindparam,
    cast,
    collate,
    column,
    func,
    null,
    true,
)

from taskapi.core.owned_table import OwnedTable
from taskapi.core.ownership import ONE, owned_page
from taskapi.core.pagination import Sort, instant, lower_ascii, text
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
    # Ids rise in the order of creation, so the key alone gives it.
    "created_at": Sort(),
    "updated_at": Sort(
        key=lambda rows: rows.c.updated_at,
        type=DateTime(timezone=True),
        value_of=lambda task: task["updated_at"],
        load=instant,
    ),
    # Code points, ASCII case aside: the same on every server, whatever its locale.
    "title": Sort(
        key=lambda rows: func.lower(collate(rows.c.title, "C")),
        type=Text(),
        value_of=lambda task: lower_ascii(task["title"]),
        load=text,
    ),
}

_LIST_ID = bindparam("list_id", type_=BigInteger)

_TOTALS: dict[bool | None, ColumnElement[int]] = {
    None: column("task_count", BigInteger),
    True: column("completed_task_count", BigInteger),
    False: column("task_count", BigInteger) - column("completed_task_count", BigInteger),
}


class Place(Enum):
    """Which lists the tasks of a page are in."""

    ANYWHERE = auto()
    INBOX = auto()
    LIST = auto()


@cache
def task_page(
    sort: str, *, is_descending: bool, resumes: bool, is_completed: bool | None, place: Place
) -> Statement:
    """The statement of a page of the caller's tasks.

    Args:
        sort: a name in `SORTS`.
        is_completed: which tasks; None for all.
        place: LIST takes the parameter list_id.
    """
    states = (True, False) if is_completed is None else (is_completed,)
    is_in_key_order = is_completed is None and SORTS[sort].key is None
    parts: list[ColumnElement[bool]] = [_table.c.is_completed.is_(state) for state in states]
    parts = [true()] if is_in_key_order else parts
    total: ColumnElement[Any] = _TOTALS[is_completed]
    if place is not Place.ANYWHERE:
        list_id = _table.c.list_id
        inside = list_id.is_(None) if place is Place.INBOX else list_id == _LIST_ID
        parts = [and_(part, inside) for part in parts]
        total = null()
    return owned_page(
        _table,
        SORTS[sort],
        is_descending=is_descending,
        resumes=resumes,
        total=total,
        parts=parts,
        shown=_shown,
    )
