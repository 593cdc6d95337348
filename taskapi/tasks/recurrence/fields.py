"""The fields of a recurrence, for whichever feature's schemas take them."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from taskapi.http.fields import Message, Messages, Value
from taskapi.http.schemas import Input, load_nested
from taskapi.tasks.recurrence.rules import (
    MAX_LENGTH,
    PATTERN,
    Anchor,
    GivenRecurrence,
    Rule,
    RuleError,
    parse,
)
from taskapi.tasks.timezones import Timezone

_ABOUT = (
    "A recurrence rule: the RECUR value of RFC 5545 section 3.3.10, in upper case and without"
    " `RRULE:`. FREQ is DAILY, WEEKLY, MONTHLY or YEARLY; UNTIL is a date where the due is one,"
    " else a time (`20261224T170000Z`, or without Z on the clock of the recurrence's zone)."
    " BYHOUR, BYMINUTE and BYSECOND are refused: the time of day is that of the due."
)


class RuleField(Value):
    """A recurrence rule, given as a `Rule`."""

    default_error_messages: Messages = {
        "invalid": Message("Must be a string.", "not_a_string"),
    }

    def __init__(self, **kwargs: Any) -> None:
        shape = {"type": "string", "pattern": PATTERN, "maxLength": MAX_LENGTH}
        super().__init__(metadata=shape | {"description": _ABOUT}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Rule:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            return parse(value)
        except RuleError as error:
            raise ValidationError(Message(error.message, error.code)) from None


class AnchorField(Value):
    """What a recurrence is counted from, given as an `Anchor`."""

    default_error_messages: Messages = {
        "invalid": Message("Must be one of due, completion.", "not_a_choice"),
    }

    def __init__(self, **kwargs: Any) -> None:
        shape = {
            "type": "string",
            "enum": [anchor.value for anchor in Anchor],
            "description": "What the next occurrence follows: the due, or the day on which it is"
            " completed; else the due.",
        }
        super().__init__(metadata=shape, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Anchor:
        if value not in [anchor.value for anchor in Anchor]:
            raise self.make_error("invalid")
        return Anchor(value)


EXAMPLE = {"rrule": "FREQ=MONTHLY;BYDAY=-1FR", "anchor": "due", "timezone": "Europe/Berlin"}

TIMEZONE_ABOUT = (
    "The zone whose days and times the rule means, into which a timed due is turned; else that of"
    " the due, and UTC for a date."
)


class NewRecurrence(Input):
    """How a task comes again."""

    read_only = frozenset({"occurred"})
    rrule = RuleField(required=True)
    anchor = AnchorField()
    timezone = Timezone(metadata={"description": TIMEZONE_ABOUT})


class Recurrence(Schema):
    """How a task comes again."""

    rrule = fields.String(required=True, metadata={"description": "A rule of RFC 5545."})
    anchor = fields.String(required=True, metadata={"enum": [anchor.value for anchor in Anchor]})
    timezone = fields.String(required=True, metadata={"description": "Whose days are meant."})
    occurred = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "minimum": 0,
            "description": "How many occurrences there have been by this rule, the present one"
            " included; null before the first was completed or skipped.",
        },
    )


class ShownRecurrence(fields.Field[Any]):
    """A recurrence in an answer."""

    alternatives: ClassVar[tuple[type[Schema], ...]] = (Recurrence,)


class RecurrenceField(Value):
    """A recurrence that a client sends, given as an `GivenRecurrence`."""

    alternatives: ClassVar[tuple[type[Schema], ...]] = (NewRecurrence,)
    shown_alternatives = ShownRecurrence.alternatives
    _shape = NewRecurrence()

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> GivenRecurrence:
        loaded = load_nested(self._shape, value)
        anchor = loaded.get("anchor", Anchor.DUE)
        return GivenRecurrence(loaded["rrule"], anchor, loaded.get("timezone"))
