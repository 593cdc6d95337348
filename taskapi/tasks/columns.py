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

from taskapi.core.dues import Due, TimedDue
from taskapi.core.owned_table import Values
from taskapi.core.ownership import ID, USER_ID
from taskapi.extensions import table_of
from taskapi.tasks.models import Task
from taskapi.tasks.orders import list_of, position

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
    "estimate_minutes",
    "label_ids",
)
_LAST = ("version", "created_at", "updated_at")

_WALL = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS'""", Text)
_UTC = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS"Z"'""", Text)

NO_LABELS = literal_column("'{}'::bigint[]", ARRAY(BigInteger))


def shown(rows: FromClause) -> Sequence[ColumnElement[Any]]:
    """A task as answers have it."""
    made: dict[str, ColumnElement[Any]] = {
        "list_id": list_of(rows),
        "completed_at": case((rows.c.is_completed, rows.c.completed_at)),
        "position": position(rows),
        "label_ids": func.coalesce(rows.c.label_ids, NO_LABELS),
        **{name: _moment(rows, name) for name in MOMENTS},
    }
    names = (*_FIRST, *_LAST)
    return [made[name].label(name) if name in made else rows.c[name] for name in names]


def stored(user_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """What is written for values that an account gave: null for the inbox, and for no labels."""
    kept = {name: value for name, value in values.items() if name not in MOMENTS}
    if kept.get("list_id") == user_id:
        kept["list_id"] = None
    if kept.get("label_ids") == []:
        kept["label_ids"] = None
    for name in MOMENTS:
        if name in values:
            kept |= _columns(name, values[name])
    return kept


def derived(
    values: Values, before: FromClause | None, moment: ColumnElement[datetime]
) -> dict[str, ColumnElement[Any]]:
    """When a task was completed follows from that it is."""
    if "is_completed" not in values:
        return {}
    since: ColumnElement[Any] = moment
    if before is not None:
        since = case((before.c.is_completed, before.c.completed_at), else_=moment)
    return {"completed_at": case((cast(values["is_completed"], Boolean), since))}


def is_alone(values: Values, rows: FromClause) -> list[ColumnElement[bool]]:
    """Whether a task can be written without others: it stays in its place, and takes none along."""
    stays = [
        rows.c[name].is_not_distinct_from(values[name])
        for name in ("list_id", "parent_id")
        if name in values
    ]
    if "is_completed" not in values:
        return stays
    children = _table.alias("children")
    has_children = exists().where(children.c.user_id == USER_ID, children.c.parent_id == ID)
    return [*stays, or_(not_(cast(values["is_completed"], Boolean)), not_(has_children))]


def may_concern_others(values: Mapping[str, Any]) -> bool:
    """Whether there are tasks for which writing these values is not that of one alone."""
    return bool({"list_id", "parent_id"} & values.keys() or values.get("is_completed"))


def _moment(rows: FromClause, name: str) -> ColumnElement[Any]:
    date, time = rows.c[f"{name}_date"], rows.c[f"{name}_time"]
    timed = func.json_build_object(
        literal_column("'datetime'", Text),
        func.to_char(date + time, _WALL),
        literal_column("'timezone'", Text),
        rows.c[f"{name}_timezone"],
        literal_column("'at'", Text),
        func.to_char(func.timezone(literal_column("'UTC'", Text), rows.c[f"{name}_at"]), _UTC),
    )
    dated = func.json_build_object(literal_column("'date'", Text), date)
    return case((time.is_not(None), timed), (date.is_not(None), dated))


def _columns(name: str, moment: Due | None) -> dict[str, Any]:
    timed = moment if isinstance(moment, TimedDue) else None
    return {
        f"{name}_date": moment and moment.date,
        f"{name}_time": timed and timed.wall.time(),
        f"{name}_timezone": timed and timed.timezone,
        f"{name}_at": timed and timed.at,
    }
