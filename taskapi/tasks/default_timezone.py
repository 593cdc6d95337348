"""The time zone of the account, for dues and recurrences of requests that have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from taskapi.auth.profile.service import get_timezone
from taskapi.http.timezones import OUT_OF_RANGE
from taskapi.identity import Caller
from taskapi.problems import InvalidInput
from taskapi.tasks.dues import TimedDue, UnzonedDue

UTC = "UTC"
"""The default of an account without a time zone, where one is not required."""


def timezone_or_utc(caller: Caller) -> str:
    """The account's time zone, or UTC if it has none.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    return get_timezone(caller) or UTC


def with_zones(caller: Caller, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields, with the account's time zone in dues that have none. It is queried if needed.

    Raises:
        InvalidInput: the account has no time zone, or the due is not in the supported years.
        SessionEnded: the caller's session has ended.
    """
    unzoned = {name: value for name, value in values.items() if isinstance(value, UnzonedDue)}
    if not unzoned:
        return values
    timezone = get_timezone(caller)
    return {**values, **{name: _in_zone(name, due, timezone) for name, due in unzoned.items()}}


def _in_zone(name: str, due: UnzonedDue, timezone: str | None) -> TimedDue:
    if timezone is None:
        message = "Required, because the account has no time zone."
        raise InvalidInput.at(f"/{name}/timezone", message, "required")
    try:
        return due.in_zone(timezone)
    except ValidationError:
        raise InvalidInput.at(f"/{name}/datetime", OUT_OF_RANGE, OUT_OF_RANGE.code) from None
