"""The numbers of open and completed tasks of lists, which the writes to tasks maintain.

A list's row has them, so that a page of lists costs the same for any number of tasks. The inbox has
none: its tasks are those of the workspace that are in no other list. Writes to a workspace are
serialized by the lock on its row, so this needs no lock of its own.
"""

from __future__ import annotations

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    any_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import array

from taskapi.db.tenancy import ONE, WORKSPACE_ID, WORKSPACES, SqlRow
from taskapi.extensions import table_of
from taskapi.tasks.lists.models import List

_lists = table_of(List)
_ZERO = literal_column("0", BigInteger)
_COUNTED = ("list_id", "is_completed")


def counts_of_task(before: SqlRow | None, after: SqlRow | None) -> list[CTE]:
    """Updates the counts of the lists of one task, if they change: one write, or none.

    It is `list_counts` for a single row, at half the cost.

    Args:
        before: the task before an update or a deletion.
        after: the task after an insert or an update.
    """
    rows = [(task, number) for task, number in ((before, -ONE), (after, ONE)) if task is not None]
    conditions = [_lists.c.id == any_(array([task.c.list_id for task, _ in rows]))]
    if before is not None and after is not None:
        pairs = [(before.c[name], after.c[name]) for name in _COUNTED]
        changes = [old.is_distinct_from(new) for old, new in pairs if old is not new]
        if not changes:
            return []
        conditions.append(or_(*changes))

    def changed(name: str, *, is_completed: bool) -> ColumnElement[int]:
        return sum(
            (
                case(
                    (
                        and_(task.c.list_id == _lists.c.id, task.c.is_completed.is_(is_completed)),
                        number,
                    ),
                    else_=_ZERO,
                )
                for task, number in rows
            ),
            start=_lists.c[name],
        )

    counted = (
        update(_lists)
        .values(
            open_count=changed("open_count", is_completed=False),
            completed_count=changed("completed_count", is_completed=True),
        )
        .where(_lists.c.workspace_id == WORKSPACE_ID, *conditions)
    )
    return [counted.cte("counted_lists")]


def list_counts(removed: FromClause | None, added: FromClause | None) -> CTE:
    """Updates the counts of the lists of any number of tasks, if they change.

    Args:
        removed: tasks before a write, with list_id and is_completed.
        added: tasks after it.
    """
    counted = [(removed, -ONE), (added, ONE)]
    each = [
        select(rows.c.list_id, rows.c.is_completed, number.label("number")).where(
            rows.c.list_id.is_not(None)
        )
        for rows, number in counted
        if rows is not None
    ]
    tasks = (union_all(*each) if len(each) > 1 else each[0]).subquery("counted_tasks")
    number = tasks.c.number
    opened = func.sum(case((tasks.c.is_completed.is_(False), number), else_=_ZERO))
    completed = func.sum(case((tasks.c.is_completed.is_(True), number), else_=_ZERO))
    change = (
        select(tasks.c.list_id, opened.label("opened"), completed.label("completed"))
        .group_by(tasks.c.list_id)
        .having(or_(opened != _ZERO, completed != _ZERO))
        .subquery("change_of_lists")
    )
    return (
        update(_lists)
        .values(
            open_count=_lists.c.open_count + change.c.opened,
            completed_count=_lists.c.completed_count + change.c.completed,
        )
        .where(_lists.c.workspace_id == WORKSPACE_ID, _lists.c.id == change.c.list_id)
        .cte("counted_lists")
    )


def open_count() -> ColumnElement[int]:
    """The number of open tasks of a list, in a page of lists."""
    every = WORKSPACES.c.task_count - WORKSPACES.c.completed_task_count
    return _with_inbox("open_count", every)


def completed_count() -> ColumnElement[int]:
    """The number of completed tasks of a list, in a page of lists."""
    return _with_inbox("completed_count", WORKSPACES.c.completed_task_count)


def _with_inbox(name: str, every: ColumnElement[int]) -> ColumnElement[int]:
    others = _lists.alias("others")
    total = cast(func.coalesce(func.sum(others.c[name]), _ZERO), BigInteger)
    in_others = select(total).where(others.c.workspace_id == WORKSPACE_ID)
    rest: Select[int] = select(every - in_others.scalar_subquery())
    in_inbox = rest.where(WORKSPACES.c.id == WORKSPACE_ID).correlate(None).scalar_subquery()
    is_inbox = _lists.c.id == _lists.c.workspace_id
    return case((is_inbox, in_inbox), else_=_lists.c[name]).label(name)
