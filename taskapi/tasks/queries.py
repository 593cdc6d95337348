"""How tasks are read, written, counted and sorted."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    and_,
    any_,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal_column,
    null,
    select,
    table,
    true,
    union_all,
    update,
)

from taskapi.db.content_table import OwnedTable
from taskapi.db.pages import IN_ORDER_OF_CREATION, Reading
from taskapi.db.positions import BY_PLACE
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ID, ONE, USER_ID, bump, locked_account, matches
from taskapi.extensions import table_of
from taskapi.tasks.columns import NO_LABELS, derived, is_alone, shown
from taskapi.tasks.filters.conditions import MISSING, Shape, condition
from taskapi.tasks.models import MAX_LABELS, Task
from taskapi.tasks.orders import list_of

_table = table_of(Task)

# What putting a label on a task needs to know of the table that the labels' feature owns.
_labels = table("labels", column("user_id", BigInteger), column("id", BigInteger))

_MOST_LABELS = literal_column(str(MAX_LABELS), Integer)


def _is_completed(rows: FromClause) -> ColumnElement[int]:
    return cast(rows.c.is_completed, Integer)


class _Tasks(OwnedTable):
    derived = staticmethod(derived)
    alone = staticmethod(is_alone)


tasks = _Tasks(
    _table,
    "task",
    counts={"task_count": lambda rows: ONE, "completed_task_count": _is_completed},
    shown=shown,
    references={"fk_tasks_lists": ("list_id", "list"), "fk_tasks_labels": ("label_ids", "label")},
)

_LIST_ID = bindparam("list_id", type_=BigInteger)
_LABEL_ID = bindparam("label_id", type_=BigInteger)

_TOTALS: dict[bool | None, ColumnElement[int]] = {
    None: column("task_count", BigInteger),
    True: column("completed_task_count", BigInteger),
    False: column("task_count", BigInteger) - column("completed_task_count", BigInteger),
}

UNCOUNTED: ColumnElement[Any] = null()

SHAPES = 32
"""Of filters whose statements are remembered; clients make as many as they like."""


class Within(Enum):
    """Which lists the tasks of a page are in."""

    ALL = auto()
    INBOX = auto()
    LIST = auto()


@cache
def task_page(reading: Reading, *, is_completed: bool | None, within: Within) -> Statement:
    """The statement of a page of the caller's tasks.

    Args:
        is_completed: which tasks; None for all.
        within: but with ALL, the statement takes the parameter list_id.
    """
    is_one_part = reading.sort in (IN_ORDER_OF_CREATION, BY_PLACE)
    parts = states(is_completed=is_completed, is_one_part=is_one_part)
    total: ColumnElement[Any] = _TOTALS[is_completed]
    if within is not Within.ALL:
        inside = _table.c.list_id == _LIST_ID
        if reading.sort is BY_PLACE:  # whose index has the inbox like any other
            inside = list_of(_table) == _LIST_ID
        elif within is Within.INBOX:
            inside = _table.c.list_id.is_(None)
        parts = [and_(part, inside) for part in parts]
        total = UNCOUNTED
    return tasks.page(reading, parts=parts, total=total)


@cache
def labelling(*, adds: bool) -> Statement:
    """Puts a label on a task, or takes it off, and gives the task.

    It takes the parameter label_id. What would change nothing, or put on one too many, leaves the
    task as it is.
    """
    account = locked_account()
    label = (
        select(_labels.c.id)
        .join(account, _labels.c.user_id == account.c.id)
        .where(_labels.c.user_id == USER_ID, _labels.c.id == _LABEL_ID)
        .with_for_update(of=_labels, read=True, key_share=True)
        .cte("label")
    )
    before = (
        select(*_table.c)
        .join(account, _table.c.user_id == account.c.id)
        .join(label, label.c.id == _LABEL_ID)
        .where(_table.c.user_id == USER_ID, _table.c.id == ID, matches(_table))
        .with_for_update(of=_table, key_share=True)
        .cte("before")
    )
    label_ids = func.coalesce(before.c.label_ids, NO_LABELS)
    has_it = any_(label_ids) == _LABEL_ID
    if adds:
        changes = and_(~has_it, func.cardinality(label_ids) < _MOST_LABELS)
        changed = func.array_append(label_ids, _LABEL_ID)
    else:
        changes, changed = has_it, func.array_remove(label_ids, _LABEL_ID)
    after = (
        update(_table)
        .values(label_ids=changed, version=account.c.next_version, updated_at=account.c.moment)
        .where(_table.c.user_id == USER_ID, _table.c.id == before.c.id, changes)
        .returning(*_table.c)
        .cte("after")
    )
    unchanged = select(*shown(before)).where(~exists().where(after.c.id == ID))
    task = union_all(select(*shown(after)), unchanged)
    return Statement(task.add_cte(bump(account, after, {})), writes=True)


@lru_cache(SHAPES)
def found_page(reading: Reading, *, is_completed: bool | None, shape: Shape) -> Statement:
    """The statement of a page of the tasks that a filter of this shape finds."""
    found = condition(shape)
    # By their state first, so that the indexes that begin with it can find them too.
    parts = states(is_completed=is_completed, is_one_part=reading.sort is BY_PLACE)
    parts = [and_(part, found) for part in parts]
    return tasks.page(reading, parts=parts, total=UNCOUNTED, missing=MISSING)


def states(*, is_completed: bool | None, is_one_part: bool) -> list[ColumnElement[bool]]:
    """The parts of which each is read in order: open and completed tasks, unless one is asked for.

    Args:
        is_one_part: whether all tasks are read in order at once.
    """
    if is_completed is None and is_one_part:
        return [true()]
    wanted = (True, False) if is_completed is None else (is_completed,)
    return [_table.c.is_completed.is_(state) for state in wanted]
