"""The schema of a profile."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import Schema

from taskapi.http.fields import Choice, Message, Messages, Name, TrueOrFalse, Value
from taskapi.http.timezones import Timezone

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

EXAMPLE = {
    "name": "Ada Lovelace",
    "timezone": "Europe/London",
    "locale": "en-GB",
    "week_start": "monday",
    "notices": True,
}

_MAX_LOCALE = 35
_LOCALE = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)
_SCRIPT_LETTERS, _REGION_LETTERS = 4, 2


class Locale(Value):
    """A language tag (BCP 47), deserialized with the usual case (RFC 5646 section 2.1.1)."""

    default_error_messages: Messages = {
        "invalid": Message("Must be a language tag like en or pt-BR.", "not_a_locale"),
    }

    def __init__(self, **kwargs: Any) -> None:
        schema = {"type": "string", "pattern": f"^{_LOCALE.pattern}$", "maxLength": _MAX_LOCALE}
        super().__init__(metadata=schema | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or len(value) > _MAX_LOCALE or not _LOCALE.fullmatch(value):
            raise self.make_error("invalid")
        subtags = value.lower().split("-")
        for place, subtag in enumerate(subtags[1:], 1):
            if len(subtags[place - 1]) == 1:  # an extension begins, whose subtags are in lower case
                break
            if len(subtag) == _REGION_LETTERS:
                subtags[place] = subtag.upper()
            elif len(subtag) == _SCRIPT_LETTERS:
                subtags[place] = subtag.title()
        return "-".join(subtags)


class Profile(Schema):
    """The profile of an account."""

    name = Name("The name of the user. Null for no name.", allow_none=True)
    timezone = Timezone(
        allow_none=True,
        metadata={
            "description": "The IANA name of the time zone, the default wherever a request can have"
            " a time zone. Null if it is not known."
        },
    )
    locale = Locale(
        allow_none=True,
        metadata={"description": "The language tag of the user (BCP 47). Null if it is not known."},
    )
    week_start = Choice(
        *WEEKDAYS,
        allow_none=True,
        metadata={
            "enum": [*WEEKDAYS, None],
            "description": "The first day of the week. Null for that of the locale.",
        },
    )
    notices = TrueOrFalse(
        metadata={
            "description": "Whether a login on a new device is reported by mail. True by default."
        }
    )
