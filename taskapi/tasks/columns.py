"""What a task shows, and the columns that it is kept in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Text,
    case,
    cast,
    exists,
    func,
    literal_column,
    not_,
    or_,
)

from taskapi.db.content_table import Values
from taskapi.db.positions import position
from taskapi.db.tenancy import ID, USER_ID
from taskapi.extensions import table_of
from taskapi.tasks.due_columns import shown_due, stored_due, text_of
from taskapi.tasks.models import Task
from taskapi.tasks.orders import list_of
from taskapi.tasks.recurrence.service import Anchor, AskedRecurrence, parse

_table = table_of(Task)

MOMENTS = ("due", "start")

_FIRST = (
    "id",
    "user_id",
    "title",
    "description",
    "is_completed",
    "completed_at",
    "list_id",
    "parent_id",
    "position",
    "priority",
    *MOMENTS,
    "recurrence",
    "estimate_minutes",
    "label_ids",
)
_LAST = ("version", "created_at", "updated_at")

NO_LABELS = literal_column("'{}'::bigint[]", ARRAY(BigInteger))


def shown(rows: FromClause) -> Sequence[ColumnElement[Any]]:
    """A task as answers have it."""
    made: dict[str, ColumnElement[Any]] = {
        "list_id": list_of(rows),
        "completed_at": case((rows.c.is_completed, rows.c.completed_at)),
        "position": position(rows),
        "label_ids": func.coalesce(rows.c.label_ids, NO_LABELS),
        "recurrence": _recurrence(rows),
        **{name: shown_due(rows, name) for name in MOMENTS},
    }
    names = (*_FIRST, *_LAST)
    return [made[name].label(name) if name in made else rows.c[name] for name in names]


def stored(user_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """What is written for values that an account gave: null for the inbox, and for no labels."""
    kept = {name: value for name, value in values.items() if name not in (*MOMENTS, "recurrence")}
    if kept.get("list_id") == user_id:
        kept["list_id"] = None
    if kept.get("label_ids") == []:
        kept["label_ids"] = None
    for name in MOMENTS:
        if name in values:
            kept |= stored_due(name, values[name])
    if "recurrence" in values:
        kept |= _stored_recurrence(values["recurrence"])
    return kept


def _stored_recurrence(recurrence: AskedRecurrence | None) -> dict[str, Any]:
    return {
        "rrule": recurrence and recurrence.rule.text,
        "recurrence_anchor": recurrence and recurrence.anchor.value,
        "recurrence_timezone": recurrence and recurrence.timezone,
    }


def recurrence_of(task: Mapping[str, Any]) -> AskedRecurrence | None:
    """How a task that is shown comes again."""
    shown = task["recurrence"]
    if shown is None:
        return None
    return AskedRecurrence(parse(shown["rrule"]), Anchor(shown["anchor"]), shown["timezone"])


def derived(
    values: Values, before: FromClause | None, moment: ColumnElement[datetime]
) -> dict[str, ColumnElement[Any]]:
    """When a task was completed follows from that it is; by a new rule nothing has occurred."""
    follows: dict[str, ColumnElement[Any]] = {}
    if "is_completed" in values:
        since: ColumnElement[Any] = moment
        if before is not None:
            since = case((before.c.is_completed, before.c.completed_at), else_=moment)
        follows["completed_at"] = case((cast(values["is_completed"], Boolean), since))
    if before is not None and "rrule" in values:
        follows["occurred"] = case((before.c.rrule == values["rrule"], before.c.occurred))
    return follows


def is_alone(values: Values, before: FromClause) -> list[ColumnElement[bool]]:
    """Whether nothing else must be known to write a task.

    It stays in its place and takes no other task along, and its due and recurrence fit each other
    as they are given, or there is only one of them.
    """
    stays = [
        before.c[name].is_not_distinct_from(values[name])
        for name in ("list_id", "parent_id")
        if name in values
    ]
    if "due_date" in values and "rrule" not in values:
        stays.append(before.c.rrule.is_(None))
    if "rrule" in values and "due_date" not in values:
        stays.append(cast(values["rrule"], Text).is_(None))
    if "is_completed" not in values:
        return stays
    children = _table.alias("children")
    has_children = exists().where(children.c.user_id == USER_ID, children.c.parent_id == ID)
    return [*stays, or_(not_(cast(values["is_completed"], Boolean)), not_(has_children))]


def may_need_more(values: Mapping[str, Any]) -> bool:
    """Whether for some tasks `is_alone` does not hold of these values."""
    joined = {"list_id", "parent_id", "due_date", "rrule"}
    return bool(joined & values.keys() or values.get("is_completed"))


def _recurrence(rows: FromClause) -> ColumnElement[Any]:
    made = func.json_build_object(
        text_of("rrule"),
        rows.c.rrule,
        text_of("anchor"),
        rows.c.recurrence_anchor,
        text_of("timezone"),
        rows.c.recurrence_timezone,
        text_of("occurred"),
        rows.c.occurred,
    )
    return case((rows.c.rrule.is_not(None), made))
