"""Time zones by their IANA names, and fields for time zones and times.

The supported years are 1970 to 2199, in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from taskapi.http.fields import Message, Messages, Value

FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)

OUT_OF_RANGE = Message("Must be in the years 1970 to 2199 in UTC.", "out_of_range")

_CLOCK_ERROR = timedelta(days=1)

_HOUR = "(?:[01][0-9]|2[0-3])"
_SECONDS = "(?::[0-5][0-9](?:[.][0-9]+)?)?"
_LOCAL = f"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt]{_HOUR}:[0-5][0-9]{_SECONDS}"
_OFFSET = f"(?:[Zz]|[+-]{_HOUR}:[0-5][0-9])"
INSTANT = f"{_LOCAL}{_OFFSET}"
"""The form of a time with an offset (RFC 3339)."""

_NOT_A_PLACE = {"Factory"}
"""Names of tzdata that are no time zone. `Factory` is for a clock that nobody has set."""


@cache
def zone_names() -> frozenset[str]:
    """The supported names: those of the package tzdata, independent of the machine."""
    return frozenset((files("tzdata") / "zones").read_text().split()) - _NOT_A_PLACE


def zone_of(name: str) -> ZoneInfo:
    """The time zone with a name from `zone_names`. Other names could be paths of files."""
    assert name in zone_names()
    return ZoneInfo(name)


def instant_of(local: datetime, timezone: str) -> datetime:
    """The instant, in UTC, of a local time (RFC 5545 section 3.3.5).

    If the local time occurs twice, `fold` says which one it is (PEP 495). If daylight saving time
    skips it, it uses the offset before the gap, unless `fold` is 1.
    """
    return local.replace(tzinfo=zone_of(timezone)).astimezone(UTC)


def local_time_of(instant: datetime, timezone: str) -> datetime:
    """The local time of an instant. Its `fold` is 1 for the second of two equal local times."""
    return instant.astimezone(zone_of(timezone)).replace(tzinfo=None)


def is_known(instant: datetime) -> bool:
    """Whether an instant is in the supported years."""
    return FIRST_INSTANT <= instant <= LAST_INSTANT


def format_instant(instant: datetime) -> str:
    """An instant in UTC, with whole seconds (RFC 3339)."""
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


class Timezone(Value):
    """The IANA name of a time zone, case-sensitive."""

    default_error_messages: Messages = {
        "invalid": Message(
            "Must be the name of a time zone, like Europe/Berlin. Upper and lower case matter.",
            "not_a_zone",
        ),
    }

    def __init__(self, **kwargs: Any) -> None:
        schema = {"type": "string", "pattern": "^[A-Za-z0-9_+/-]{1,64}$"}
        super().__init__(metadata=schema | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or value not in zone_names():
            raise self.make_error("invalid")
        return value


class Time(Value):
    """A time: local, or with an offset (RFC 3339) an instant, which is deserialized in UTC.

    The seconds can be omitted, and have any number of decimal places. They are rounded down.
    """

    default_error_messages: Messages = {
        "invalid": Message("Must be a time like 2026-12-24T18:00:00.", "not_a_time"),
        "no_such_day": Message("There is no such day.", "not_a_time"),
        "out_of_range": OUT_OF_RANGE,
    }
    _pattern = f"{_LOCAL}(?:{_OFFSET})?"
    _schema: ClassVar[dict[str, Any]] = {}

    def __init__(self, **kwargs: Any) -> None:
        schema = {"type": "string", "pattern": f"^{self._pattern}$", **self._schema}
        super().__init__(metadata=schema | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not re.fullmatch(self._pattern, value, re.ASCII):
            raise self.make_error("invalid")
        try:
            time = self._rounded(datetime.fromisoformat(value.upper()))
        except ValueError:
            raise self.make_error("no_such_day") from None
        # A wider range, so that it can be converted to any time zone; the due is checked later.
        if not FIRST_INSTANT.year - 1 <= time.year <= LAST_INSTANT.year + 1:
            raise self.make_error("out_of_range")
        if time.tzinfo is None:
            return time
        if not is_known(time):
            raise self.make_error("out_of_range")
        return time.astimezone(UTC)

    def _rounded(self, time: datetime) -> datetime:
        return time.replace(microsecond=0)


class Instant(Time):
    """A time with an offset (RFC 3339), deserialized in UTC."""

    default_error_messages: Messages = {
        "invalid": Message("Must be an instant like 2026-12-24T17:00:00Z.", "not_an_instant"),
        "no_such_day": Message("There is no such day.", "not_an_instant"),
    }
    _pattern = INSTANT
    _schema = {"format": "date-time"}


class CompletionTime(Instant):
    """An instant, at most a day in the future because clocks of clients can be wrong.

    It keeps its microseconds, so that one from a response stays the same.
    """

    default_error_messages: Messages = {
        "late": Message("Must not be more than a day in the future.", "out_of_range"),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        instant = super()._deserialize(value, attr, data, **kwargs)
        if instant > datetime.now(UTC) + _CLOCK_ERROR:
            raise self.make_error("late")
        return instant

    def _rounded(self, time: datetime) -> datetime:
        return time
