"""The columns of a due: a date and, for a timed due, its local time, time zone and instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any

from taskapi.tasks.dues import DateDue, Due, TimedDue, with_fold


def due_columns(name: str, due: Due | None) -> dict[str, Any]:
    """The values of a due's columns, whose names begin with `name`."""
    timed = due if isinstance(due, TimedDue) else None
    return {
        f"{name}_date": due and due.date,
        f"{name}_time": timed and timed.local.time(),
        f"{name}_timezone": timed and timed.timezone,
        f"{name}_at": timed and timed.at,
    }


def due_of(row: Any, name: str = "due") -> Due | None:
    """The due in a row's columns; None without one."""
    day, time = getattr(row, f"{name}_date"), getattr(row, f"{name}_time")
    if time is None:
        return day and DateDue(day)
    timezone, at = getattr(row, f"{name}_timezone"), getattr(row, f"{name}_at")
    return TimedDue(with_fold(datetime.combine(day, time), timezone, at), timezone)


def due_representation(name: str) -> Callable[[Any], dict[str, str] | None]:
    """The function that returns the JSON of the due in a row's columns, like `Due.represent`."""
    parts = ("date", "time", "timezone", "at")
    date_of, time_of, timezone_of, at_of = (attrgetter(f"{name}_{part}") for part in parts)

    def represent(row: Any) -> dict[str, str] | None:
        day = date_of(row)
        if day is None:
            return None
        time = time_of(row)
        if time is None:
            return {"date": day.isoformat()}
        return {
            "datetime": f"{day.isoformat()}T{time.isoformat('seconds')}",
            "timezone": timezone_of(row),
            "at": f"{at_of(row).isoformat()[:19]}Z",
        }

    return represent
