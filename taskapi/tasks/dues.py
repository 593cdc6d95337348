"""Dues: a date, or a local time in a time zone.

A date has no time zone: it is the same day everywhere. A timed due is a local time. Its instant
follows from the time zone, whose rules may still change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from taskapi.http.fields import Message, Messages, Value
from taskapi.http.merging import PatchField
from taskapi.http.schemas import Input, load_nested, require_object
from taskapi.http.timezones import (
    FIRST_INSTANT,
    LAST_INSTANT,
    OUT_OF_RANGE,
    Instant,
    Time,
    Timezone,
    format_instant,
    instant_of,
    is_known,
    local_time_of,
)

_INSTANT = Instant()

TIME_EXAMPLE = {"datetime": "2026-11-27T18:00:00", "timezone": "Europe/Berlin"}

_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EITHER = Message("Must have a date, or a datetime and its timezone.", "not_a_due")
_DATE_WITH_ZONE = Message("Requires a datetime: a date has no time zone.", "not_together")


@dataclass(frozen=True)
class DateDue:
    """Due on a day."""

    date: date

    def represent(self) -> dict[str, str]:
        """The JSON of the due."""
        return {"date": self.date.isoformat()}


@dataclass(frozen=True)
class TimedDue:
    """Due at a local time, with whole seconds, in a time zone.

    The `fold` of the local time is 1 for the second of two equal local times (PEP 495).
    """

    local: datetime
    timezone: str

    @property
    def date(self) -> date:
        return self.local.date()

    @property
    def at(self) -> datetime:
        """The instant, in UTC."""
        return instant_of(self.local, self.timezone)

    def in_zone(self, timezone: str) -> TimedDue:
        """The same instant in another time zone."""
        return self if timezone == self.timezone else _due_at(self.at, timezone)

    def represent(self) -> dict[str, str]:
        """The JSON of the due."""
        local = self.local.isoformat(timespec="seconds")
        return {"datetime": local, "timezone": self.timezone, "at": format_instant(self.at)}


Due = DateDue | TimedDue


@dataclass(frozen=True)
class UnzonedDue:
    """A timed due in a request without a time zone. It gets that of the account.

    Args:
        time: the local time, or an instant, in UTC.
        at: the value of `at` in the request, of any type.
    """

    time: datetime
    at: Any

    def in_zone(self, timezone: str) -> TimedDue:
        """The due in a time zone.

        Raises:
            ValidationError: it is not in the supported years.
        """
        return _timed(self.time, timezone, self.at)


GivenDue = Due | UnzonedDue
"""A due in a request."""


def _due_at(instant: datetime, timezone: str) -> TimedDue:
    return TimedDue(local_time_of(instant, timezone), timezone)


def starts_in_time(start: Due | None, due: Due | None) -> bool:
    """Whether the start is not after the due. A date and a time are compared by their dates."""
    if start is None or due is None:
        return True
    if isinstance(start, TimedDue) and isinstance(due, TimedDue):
        return start.at <= due.at
    return start.date <= due.date


def with_fold(local: datetime, timezone: str, at: datetime) -> datetime:
    """The local time that occurs at an instant, if that is the second of two equal ones."""
    occurs_then = local_time_of(at, timezone) == local
    return local.replace(fold=int(occurs_then and instant_of(local, timezone) != at))


class DateField(Value):
    """A date in the supported years."""

    default_error_messages: Messages = {
        "invalid": Message("Must be a date like 2026-12-24.", "not_a_date"),
        "no_such_day": Message("There is no such day.", "not_a_date"),
        "out_of_range": OUT_OF_RANGE,
    }

    def __init__(self, **kwargs: Any) -> None:
        schema = {"type": "string", "format": "date"}
        super().__init__(metadata=schema | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise self.make_error("invalid")
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise self.make_error("no_such_day") from None
        if not FIRST_INSTANT.year <= day.year <= LAST_INSTANT.year:
            raise self.make_error("out_of_range")
        return day


class DueDate(Input):
    """Due on a day."""

    date = DateField(required=True, metadata={"description": "The day."})


class NewDueTime(Input):
    """Due at a time in a time zone."""

    read_only = frozenset({"at"})
    drops_null = True
    datetime = Time(
        required=True,
        metadata={
            "description": "The local time. With `Z` or an offset it is an instant, which is"
            " converted to the time zone. Fractions of seconds are rounded down. For a local time"
            " that occurs twice, `at` chooses one of the two; otherwise it is ignored."
        },
    )
    timezone = Timezone(
        allow_none=True,
        metadata={
            "description": "The IANA name of the time zone. By default that of the account, and"
            " required if it has none."
        },
    )


class DuePatch(Input):
    """Changes to a due. A `date` replaces `datetime` and `timezone`, a `datetime` the `date`."""

    read_only = frozenset({"at"})
    date = DateField(allow_none=True, metadata={"description": "The day."})
    datetime = Time(allow_none=True, metadata={"description": "The local time, or an instant."})
    timezone = Timezone(
        allow_none=True, metadata={"description": "The IANA name of the time zone."}
    )


class DueTime(Schema):
    """Due at a time in a time zone."""

    datetime = fields.String(required=True, metadata={"description": "The local time."})
    timezone = fields.String(
        required=True, metadata={"description": "The IANA name of the time zone."}
    )
    at = fields.String(
        required=True,
        metadata={
            "format": "date-time",
            "description": "The instant, in UTC. A local time that daylight saving time skips uses"
            " the offset before the gap. A local time that occurs twice is the first one, unless"
            " the request said otherwise.",
        },
    )


class OutputDue(fields.Field[Any]):
    """A due in a response."""

    alternatives: ClassVar[tuple[type[Schema], ...]] = (DueDate, DueTime)


class DueField(Value):
    """A due in a request, deserialized as a `DateDue`, a `TimedDue` or an `UnzonedDue`."""

    alternatives: ClassVar[tuple[type[Schema], ...]] = (DueDate, NewDueTime)
    output_alternatives = OutputDue.alternatives
    _date = DueDate()
    _time = NewDueTime()

    def merged(self) -> PatchField:
        """The field in a merge patch."""
        return PatchField(self, DuePatch(), _is_whole_due)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> GivenDue:
        value = require_object(value, '{"date": "2026-12-24"}')
        value = {name: item for name, item in value.items() if item is not None}
        if ("date" in value) == ("datetime" in value):
            raise ValidationError(_EITHER)
        if "date" in value:
            if "timezone" in value:
                raise ValidationError({"timezone": [_DATE_WITH_ZONE]})
            return DateDue(load_nested(self._date, value)["date"])
        loaded = load_nested(self._time, value)
        unzoned = UnzonedDue(loaded["datetime"], value.get("at"))
        return unzoned.in_zone(loaded["timezone"]) if "timezone" in loaded else unzoned


def _is_whole_due(changes: Mapping[str, Any]) -> bool:
    given = {name for name, value in changes.items() if value is not None}
    return "date" in given or {"datetime", "timezone"} <= given


def merged_due(current: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a due after a merge patch."""
    has_time = changes.get("datetime") is not None
    kept = {n: v for n, v in (current or {}).items() if not (has_time and n == "date")}
    return {**kept, **changes}


def _timed(time: datetime, timezone: str, at: Any) -> TimedDue:
    due = _due_at(time, timezone) if time.tzinfo else _chosen(TimedDue(time, timezone), at)
    if not is_known(due.at):
        raise ValidationError({"datetime": [OUT_OF_RANGE]})
    return due


def _chosen(due: TimedDue, at: Any) -> TimedDue:
    """The due at that instant, if its local time occurs twice."""
    try:
        instant = _INSTANT.deserialize(at)
    except ValidationError:
        return due  # read-only, so anything is ignored
    return TimedDue(with_fold(due.local, due.timezone, instant), due.timezone)
