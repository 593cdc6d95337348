"""How tasks are read, written, counted and sorted."""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Text,
    cast,
    collate,
    column,
    func,
    true,
)

from taskapi.core.owned_table import OwnedTable
from taskapi.core.ownership import ONE, owned_page
from taskapi.core.pagination import Sort, instant
from taskapi.core.pagination import text as text_key
from taskapi.core.statement import Statement
from taskapi.extensions import table_of
from taskapi.tasks.models import Task

_table = table_of(Task)


def _is_completed(rows: FromClause) -> ColumnElement[int]:
    return cast(rows.c.is_completed, Integer)


tasks = OwnedTable(
    _table,
    "task",
    counts={"task_count": lambda rows: ONE, "completed_task_count": _is_completed},
)

_ASCII_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

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
        value_of=lambda task: task["title"].translate(_ASCII_LOWER),
        load=text_key,
    ),
}

_TOTALS: dict[bool | None, ColumnElement[int]] = {
    None: column("task_count", BigInteger),
    True: column("completed_task_count", BigInteger),
    False: column("task_count", BigInteger) - column("completed_task_count", BigInteger),
}


@cache
def task_page(
    sort: str, *, is_descending: bool, resumes: bool, is_completed: bool | None
) -> Statement:
    """The statement of a page of the caller's tasks.

    Args:
        sort: a name in `SORTS`.
        is_completed: which tasks; None for all.
    """
    states = (True, False) if is_completed is None else (is_completed,)
    is_in_key_order = is_completed is None and SORTS[sort].key is None
    parts = [true()] if is_in_key_order else [_table.c.is_completed.is_(state) for state in states]
    return owned_page(
        _table,
        SORTS[sort],
        is_descending=is_descending,
        resumes=resumes,
        total=_TOTALS[is_completed],
        parts=parts,
    )
