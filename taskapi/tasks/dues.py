"""When something is due: on a day, or at a time of a zone's wall clock.

A date is not an instant: it has no zone, and is the same day wherever one is. A timed due is what a
clock on a wall shows; its instant follows from the zone, whose rules may change until then.

The values and their fields are in core, since several features have dues and none may import
another's schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from taskapi.http.fields import Message, Messages, Value
from taskapi.http.schemas import Input, load_nested
from taskapi.tasks.timezones import (
    FIRST_INSTANT,
    LAST_INSTANT,
    OUT_OF_RANGE,
    Time,
    Timezone,
    instant_of,
    is_known,
    shown_instant,
    wall_of,
)

TIME_EXAMPLE = {"datetime": "2026-11-27T18:00:00", "timezone": "Europe/Berlin"}

_NOT_A_DATE = Message("Must be a date like 2026-12-24.", "not_a_date")
TWICE = Message(
    "Is the second of two equal times on that wall clock, which cannot be told from the first.",
    "ambiguous_time",
)
_EITHER = Message("Must have a date, or a datetime and its timezone.", "not_a_due")


class AmbiguousTime(ValueError):
    """An instant is the second of two equal times on a wall clock, which only shows the first."""


@dataclass(frozen=True)
class DateDue:
    """Due on a day."""

    date: date

    def represent(self) -> dict[str, str]:
        """As it stands in an answer."""
        return {"date": self.date.isoformat()}


@dataclass(frozen=True)
class TimedDue:
    """Due at a time with whole seconds on the wall clock of a zone."""

    wall: datetime
    timezone: str

    @property
    def date(self) -> date:
        return self.wall.date()

    @property
    def at(self) -> datetime:
        """The instant, in UTC."""
        return instant_of(self.wall, self.timezone)

    def in_zone(self, timezone: str) -> TimedDue:
        """The same instant on the wall clock of another zone.

        Raises:
            AmbiguousTime: it is the second of two equal times there.
        """
        return self if timezone == self.timezone else _on_wall(self.at, timezone)

    def represent(self) -> dict[str, str]:
        """As it stands in an answer."""
        wall = self.wall.isoformat(timespec="seconds")
        return {"datetime": wall, "timezone": self.timezone, "at": shown_instant(self.at)}


Due = DateDue | TimedDue


def _on_wall(instant: datetime, timezone: str) -> TimedDue:
    due = TimedDue(wall_of(instant, timezone), timezone)
    if due.at != instant:
        raise AmbiguousTime
    return due


class Day(Value):
    """A date, of the years that the service knows."""

    default_error_messages: Messages = {"invalid": _NOT_A_DATE, "out_of_range": OUT_OF_RANGE}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"type": "string", "format": "date"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        try:
            day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()
        except (TypeError, ValueError):
            raise self.make_error("invalid") from None
        if value != day.isoformat():  # other digits, or too few of them
            raise self.make_error("invalid")
        if not FIRST_INSTANT.year <= day.year <= LAST_INSTANT.year:
            raise self.make_error("out_of_range")
        return day


class DueDate(Input):
    """Due on a day, without a time."""

    date = Day(required=True)


class NewDueTime(Input):
    """Due at a time on the wall clock of a zone.

    With `Z` or an offset, `datetime` is an instant and is turned into that clock's time.
    """

    read_only = frozenset({"at"})
    datetime = Time(
        required=True,
        metadata={
            "description": "What that clock shows; with Z or an offset, an instant that is turned"
            " into it."
        },
    )
    timezone = Timezone(required=True)


class DueTime(Schema):
    """Due at a time on the wall clock of a zone."""

    datetime = fields.String(required=True, metadata={"description": "What that clock shows."})
    timezone = fields.String(required=True, metadata={"description": "Its IANA name."})
    at = fields.String(
        required=True,
        metadata={
            "format": "date-time",
            "description": "The instant, in UTC. A time that the clock leaves out has the offset"
            " before the gap; of a time that it shows twice it is the first.",
        },
    )


class ShownDue(fields.Field[Any]):
    """A due in a response."""

    alternatives: ClassVar[tuple[type[Schema], ...]] = (DueDate, DueTime)


class DueField(Value):
    """A due that a client sends, given as a `DateDue` or a `TimedDue`."""

    alternatives: ClassVar[tuple[type[Schema], ...]] = (DueDate, NewDueTime)
    shown_alternatives = ShownDue.alternatives
    _date = DueDate()
    _time = NewDueTime()

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Due:
        if isinstance(value, dict) and ("date" in value) == ("datetime" in value):
            raise ValidationError(_EITHER)
        if isinstance(value, dict) and "date" in value:
            return DateDue(load_nested(self._date, value)["date"])
        return _timed(load_nested(self._time, value))


def _timed(loaded: Mapping[str, Any]) -> TimedDue:
    time, timezone = loaded["datetime"], loaded["timezone"]
    try:
        due = _on_wall(time, timezone) if time.tzinfo else TimedDue(time, timezone)
    except AmbiguousTime:
        raise ValidationError({"datetime": [TWICE]}) from None
    if not is_known(due.at):
        raise ValidationError({"datetime": [OUT_OF_RANGE]})
    return due
