"""How labels are read, written, sorted, merged and deleted."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    column,
    delete,
    exists,
    func,
    select,
    table,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, array

from taskapi.db.content_table import OwnedTable
from taskapi.db.pages import IN_ORDER_OF_CREATION, by_text
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ID, USER_ID, bump, locked_account, matches
from taskapi.extensions import table_of
from taskapi.tasks.labels.models import Label

_labels = table_of(Label)
_INTO = bindparam("into", type_=BigInteger)

# What ending a label needs to know of the tables that the tasks' feature owns.
_tasks = table(
    "tasks",
    *(column(name, BigInteger) for name in ("user_id", "version")),
    column("updated_at"),
    column("label_ids", ARRAY(BigInteger)),
)

labels = OwnedTable(_labels, "label")

SORTS = {"name": by_text("name"), "created_at": IN_ORDER_OF_CREATION}


label_page = cache(labels.page)
"""The statement of a page of the caller's labels."""


def _deletion() -> Statement:
    """Deletes a label, and takes it off the tasks."""
    account = locked_account()
    doomed = _doomed(account).cte("doomed")
    freed = _relabelled(account, doomed, func.array_remove(_tasks.c.label_ids, ID))
    gone = _gone(doomed)
    return Statement(select(gone.c.id).add_cte(freed, bump(account, gone, {})), writes=True)


def _merge() -> Statement:
    """Deletes a label, puts the parameter `into` in its place on the tasks, and gives that one."""
    account = locked_account()
    target = (
        select(*_labels.c)
        .join(account, _labels.c.user_id == account.c.id)
        .where(_labels.c.user_id == USER_ID, _labels.c.id == _INTO, _labels.c.id != ID)
        .with_for_update(of=_labels, read=True, key_share=True)
        .cte("target")
    )
    doomed = _doomed(account).join(target, target.c.id == _INTO).cte("doomed")
    # The tasks' trigger makes one of two.
    replaced = func.array_replace(_tasks.c.label_ids, ID, _INTO)
    relabelled = _relabelled(account, doomed, replaced)
    gone = _gone(doomed)
    merged = select(*target.c).where(exists().where(gone.c.id == ID))
    return Statement(merged.add_cte(relabelled, bump(account, gone, {})), writes=True)


def _doomed(account: CTE) -> Select[Any]:
    return (
        select(_labels.c.id)
        .join(account, _labels.c.user_id == account.c.id)
        .where(_labels.c.user_id == USER_ID, _labels.c.id == ID, matches(_labels))
        .with_for_update(of=_labels)
    )


def _relabelled(account: CTE, doomed: CTE, label_ids: ColumnElement[Any]) -> CTE:
    """The tasks that have the label, as they are without it."""
    changed = {"version": account.c.next_version, "updated_at": account.c.moment}
    return (
        update(_tasks)
        .values(label_ids=label_ids, **changed)
        # By the parameter, which an index is asked for, and not by what the label's row says.
        .where(_tasks.c.user_id == USER_ID, _tasks.c.label_ids.contains(array([ID])))
        .where(doomed.c.id == ID)
        .cte("relabelled")
    )


def _gone(doomed: CTE) -> CTE:
    return (
        delete(_labels)
        .where(_labels.c.user_id == USER_ID, _labels.c.id == doomed.c.id)
        .returning(_labels.c.id, _labels.c.user_id)
        .cte("gone")
    )


deletion, merge = _deletion(), _merge()
