"""The orders that tasks can be listed in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    func,
)

from taskapi.db.pages import IN_ORDER_OF_CREATION, Sort, by_text, instant
from taskapi.db.positions import BY_PLACE
from taskapi.tasks.due_columns import due_key
from taskapi.tasks.models import MAX_PRIORITY


def list_of(rows: FromClause) -> ColumnElement[int]:
    """The list that a task is in; the inbox has the account's id."""
    return func.coalesce(rows.c.list_id, rows.c.user_id)


def _due_key_of(task: Mapping[str, Any]) -> str:
    due = task["due"] or {"datetime": "9999-12-31T00:00:00"}
    return str(due.get("datetime") or f"{due['date']}T23:59:59.999999")


def _wall(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        raise ValueError("a clock on the wall shows no offset")
    return moment


def _priority(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_PRIORITY:
        raise ValueError("not a priority")
    return value


SORTS = {
    "created_at": IN_ORDER_OF_CREATION,
    "updated_at": Sort(
        key=lambda rows: rows.c.updated_at,
        type=DateTime(timezone=True),
        value_of=lambda task: task["updated_at"],
        load=instant,
    ),
    "title": by_text("title"),
    "position": BY_PLACE,
    "due": Sort(key=due_key, type=DateTime(), value_of=_due_key_of, load=_wall),
    "priority": Sort(
        key=lambda rows: rows.c.priority,
        type=BigInteger(),
        value_of=lambda task: task["priority"],
        load=_priority,
    ),
}
