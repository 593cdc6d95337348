"""How lists are read, written, sorted and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    and_,
    column,
    delete,
    exists,
    func,
    null,
    select,
    table,
    true,
    update,
)

from taskapi.db.content_table import OwnedTable
from taskapi.db.manual_order import HandOrder
from taskapi.db.pages import IN_ORDER_OF_CREATION, Reading, by_text
from taskapi.db.positions import BY_PLACE, position
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ID,
    USER_ID,
    bump,
    locked_account,
    matches,
)
from taskapi.extensions import table_of
from taskapi.tasks.lists.models import List

_lists = table_of(List)

# What deleting a list needs to know of the tables that the tasks' feature owns.
_tasks = table(
    "tasks",
    *(column(name) for name in ("is_completed", "updated_at")),
    *(column(name, BigInteger) for name in ("user_id", "list_id", "version")),
)


def _shown(rows: FromClause) -> Sequence[ColumnElement[Any]]:
    place = position(rows).label("position")
    columns = [place if one.name == "position" else one for one in rows.c]
    return [*columns, (rows.c.id == rows.c.user_id).label("is_inbox")]


lists = OwnedTable(_lists, "list", shown=_shown)

by_hand = HandOrder(_lists, numbered_by="users", otherwise="Must be another list of yours.")

SORTS = {"created_at": IN_ORDER_OF_CREATION, "name": by_text("name"), "position": BY_PLACE}

_TASK_TOTALS = ("task_count", "completed_task_count")


@cache
def list_page(reading: Reading, *, is_archived: bool | None) -> Statement:
    """The statement of a page of the caller's lists.

    Args:
        is_archived: which lists; None for all.
    """
    part = true() if is_archived is None else _lists.c.is_archived.is_(is_archived)
    return lists.page(reading, parts=[part])


@cache
def deletion(tasks: str | None) -> Statement:
    """Deletes a list that is not the inbox, and deals with its tasks in the same write.

    Args:
        tasks: `move` them to the inbox, or `delete` them; None deletes an empty list alone.
    """
    account = locked_account(_TASK_TOTALS if tasks == "delete" else ())
    doomed = _doomed(account)
    # By the parameter, which an index is asked for, and not by what the list's row says.
    inside = and_(_tasks.c.user_id == USER_ID, _tasks.c.list_id == ID)
    is_doomed = exists().where(doomed.c.id == ID)
    gone = delete(_lists).where(_lists.c.user_id == USER_ID, _lists.c.id == doomed.c.id)
    written: list[CTE] = []
    change: dict[str, ColumnElement[int]] = {}
    if tasks == "move":
        changed = {"version": account.c.next_version, "updated_at": account.c.moment}
        moved = update(_tasks).values(list_id=null(), **changed).where(inside, is_doomed)
        written = [moved.cte("moved")]
    elif tasks == "delete":
        ended = delete(_tasks).where(inside, is_doomed).returning(_tasks.c.is_completed)
        change = _change(ended.cte("ended"))
    else:
        gone = gone.where(~exists().where(inside))
    removed = gone.returning(_lists.c.id, _lists.c.user_id).cte("gone")
    written.append(bump(account, removed, change))
    return Statement(select(removed.c.id).add_cte(*written), writes=True)


def _doomed(account: CTE) -> CTE:
    return (
        select(_lists.c.id)
        .join(account, _lists.c.user_id == account.c.id)
        .where(_lists.c.user_id == USER_ID, _lists.c.id == ID, _lists.c.id != USER_ID)
        .where(matches(_lists))
        .with_for_update(of=_lists)
        .cte("doomed")
    )


def _change(ended: CTE) -> dict[str, ColumnElement[int]]:
    """What the totals of tasks change by when these are deleted."""
    every = select(func.count()).select_from(ended).scalar_subquery()
    completed = select(func.count()).where(ended.c.is_completed.is_(true())).scalar_subquery()
    return {"task_count": -every, "completed_task_count": -completed}
