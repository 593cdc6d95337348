"""The orders in which tasks can be listed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, FromClause, Time, func, literal_column
from sqlalchemy.types import TypeEngine

from taskapi.db.pages import BY_CREATION, Missing, Sort, by_text, instant
from taskapi.db.positions import BY_POSITION
from taskapi.extensions import table_of
from taskapi.tasks.models import END_OF_DAY, Task
from taskapi.tasks.schemas import SORTED_NUMBERS

_NEVER = "9999-12-31T00:00:00"


def _local_due(rows: FromClause) -> ColumnElement[datetime]:
    end_of_day: ColumnElement[Any] = literal_column(END_OF_DAY, Time)
    return rows.c.due_date + func.coalesce(rows.c.due_time, end_of_day)


def _local_due_of(task: Any) -> str:
    if task.due_date is None:
        return _NEVER
    time = "23:59:59.999999" if task.due_time is None else task.due_time.isoformat()
    return f"{task.due_date.isoformat()}T{time}"


def _local(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        raise ValueError("a local time has no offset")
    return moment


BY_DUE = Sort(
    key=_local_due,
    type=DateTime(),
    value_of=_local_due_of,
    load=_local,
    missing=Missing(
        lambda rows: rows.c.due_date.is_(None),
        literal_column(f"'{_NEVER}'::timestamp without time zone", DateTime()),
    ),
    is_indexed=True,
)


def _by_number(name: str, most: int) -> Sort:
    """The order by a column of whole numbers. Rows without a value come last."""

    def load(value: Any) -> int:
        if type(value) is not int or not 0 <= value <= most + 1:
            raise ValueError("not a number of this field")
        return value

    def value_of(task: Any) -> int:
        value = getattr(task, name)
        return most + 1 if value is None else value

    is_nullable = table_of(Task).c[name].nullable
    last = Missing(lambda rows: rows.c[name].is_(None), literal_column(str(most + 1), BigInteger()))
    kind: TypeEngine[Any] = BigInteger()
    return Sort(
        key=lambda rows: rows.c[name],
        type=kind,
        value_of=value_of,
        load=load,
        missing=last if is_nullable else None,
    )


SORTS = {
    "created_at": BY_CREATION,
    "updated_at": Sort(
        key=lambda rows: rows.c.updated_at,
        type=DateTime(timezone=True),
        value_of=lambda task: task.updated_at,
        load=instant,
    ),
    "title": by_text("title"),
    "position": BY_POSITION,
    "due": BY_DUE,
    **{name: _by_number(name, most) for name, most in SORTED_NUMBERS.items()},
}
