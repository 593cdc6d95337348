"""Time zones by their IANA names, and the fields for them and for instants.

The service knows the instants of the years 1970 to 2199, in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from taskapi.http.fields import Message, Messages, Value

FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)

OUT_OF_RANGE = Message("Must lie in the years 1970 to 2199 in UTC.", "out_of_range")

_HOUR = "(?:[01][0-9]|2[0-3])"
_WALL = f"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_HOUR}:[0-5][0-9]:[0-5][0-9]"
_OFFSET = f"(?:Z|[+-]{_HOUR}:[0-5][0-9])"


@cache
def zone_names() -> frozenset[str]:
    """The names that are zones here: those of the package tzdata, whatever the machine has."""
    return frozenset((files("tzdata") / "zones").read_text().split())


def zone_of(name: str) -> ZoneInfo:
    """The zone with a name that is among `zone_names`: a name becomes the path of a file."""
    assert name in zone_names()
    return ZoneInfo(name)


def instant_of(wall: datetime, timezone: str) -> datetime:
    """The instant, in UTC, of a wall-clock time, as RFC 5545 section 3.3.5 says.

    Of a time that there is twice it is the first; a time that is left out takes the offset before
    the gap.
    """
    # Both are what a datetime does whose `fold` is 0.
    return wall.replace(tzinfo=zone_of(timezone), fold=0).astimezone(UTC)


def wall_of(instant: datetime, timezone: str) -> datetime:
    """The wall-clock time of an instant."""
    return instant.astimezone(zone_of(timezone)).replace(tzinfo=None)


def is_known(instant: datetime) -> bool:
    """Whether an instant lies in the years that the service knows."""
    return FIRST_INSTANT <= instant <= LAST_INSTANT


def shown_instant(instant: datetime) -> str:
    """An instant in UTC with whole seconds, as answers show it."""
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


class Timezone(Value):
    """The name of a time zone in the IANA database, in exactly its letters."""

    default_error_messages: Messages = {
        "invalid": Message("Must be the name of a time zone, like Europe/Berlin.", "not_a_zone"),
    }

    def __init__(self, **kwargs: Any) -> None:
        shape = {"type": "string", "pattern": "^[A-Za-z0-9_+/-]{1,64}$"}
        super().__init__(metadata=shape | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or value not in zone_names():
            raise self.make_error("invalid")
        return value


class Time(Value):
    """A time with whole seconds: on a wall without an offset, with one (RFC 3339) given in UTC."""

    default_error_messages: Messages = {
        "invalid": Message("Must be a time like 2026-12-24T18:00:00.", "not_a_time"),
        "out_of_range": OUT_OF_RANGE,
    }
    _pattern = f"{_WALL}(?:{_OFFSET})?"
    _shape: ClassVar[dict[str, Any]] = {}

    def __init__(self, **kwargs: Any) -> None:
        shape = {"type": "string", "pattern": f"^{self._pattern}$", **self._shape}
        super().__init__(metadata=shape | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not re.fullmatch(self._pattern, value, re.ASCII):
            raise self.make_error("invalid")
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            raise self.make_error("invalid") from None
        # So that it can be converted; whoever knows the zone looks more closely.
        if not FIRST_INSTANT.year - 1 <= time.year <= LAST_INSTANT.year + 1:
            raise self.make_error("out_of_range")
        if time.tzinfo is None:
            return time
        if not is_known(time):
            raise self.make_error("out_of_range")
        return time.astimezone(UTC)


class Instant(Time):
    """A time with whole seconds and an offset (RFC 3339), given in UTC."""

    default_error_messages: Messages = {
        "invalid": Message("Must be an instant like 2026-12-24T17:00:00Z.", "not_an_instant"),
    }
    _pattern = f"{_WALL}{_OFFSET}"
    _shape = {"format": "date-time"}
