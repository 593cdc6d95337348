"""The columns that a due is kept in: a day, and its time, zone and instant where it has a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Text,
    Time,
    case,
    func,
    literal_column,
)

from taskapi.tasks.dues import DateDue, Due, TimedDue

_WALL = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS'""", Text)
_UTC = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS"Z"'""", Text)

_END_OF_DAY = "'23:59:59.999999'::time without time zone"
_NEVER = "'9999-12-31 00:00:00'::timestamp without time zone"
DUE_KEY = f"COALESCE(due_date + COALESCE(due_time, {_END_OF_DAY}), {_NEVER})"
"""What `due_key` sorts by, as text of SQL for an index and for conditions that it serves."""


def text_of(word: str) -> ColumnElement[str]:
    """A word of ours as a part of a statement's text."""
    return literal_column(f"'{word}'", Text)


def due_key(rows: FromClause) -> ColumnElement[datetime]:
    """What the clock on the wall shows; at the day's end without a time, and last without a due."""
    end_of_day, never = literal_column(_END_OF_DAY, Time), literal_column(_NEVER, DateTime)
    wall = rows.c.due_date + func.coalesce(rows.c.due_time, end_of_day)
    return func.coalesce(wall, never, type_=DateTime())


def shown_due(rows: FromClause, name: str) -> ColumnElement[Any]:
    """The due in a row's columns, as `Due.shown` gives it; null where there is none."""
    day, time = rows.c[f"{name}_date"], rows.c[f"{name}_time"]
    timed = func.json_build_object(
        text_of("datetime"),
        func.to_char(day + time, _WALL),
        text_of("timezone"),
        rows.c[f"{name}_timezone"],
        text_of("at"),
        func.to_char(func.timezone(text_of("UTC"), rows.c[f"{name}_at"]), _UTC),
    )
    dated = func.json_build_object(text_of("date"), day)
    return case((time.is_not(None), timed), (day.is_not(None), dated))


def stored_due(name: str, due: Due | None) -> dict[str, Any]:
    """The columns' values."""
    timed = due if isinstance(due, TimedDue) else None
    return {
        f"{name}_date": due and due.date,
        f"{name}_time": timed and timed.wall.time(),
        f"{name}_timezone": timed and timed.timezone,
        f"{name}_at": timed and timed.at,
    }


def due_of(shown: Mapping[str, str] | None) -> Due | None:
    """The due that is shown."""
    if shown is None:
        return None
    if "date" in shown:
        return DateDue(date.fromisoformat(shown["date"]))
    return TimedDue(datetime.fromisoformat(shown["datetime"]), shown["timezone"])
