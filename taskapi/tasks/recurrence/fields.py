"""The fields of a recurrence."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields

from taskapi.http.fields import Message, Messages, Value
from taskapi.http.merging import PatchField
from taskapi.http.schemas import Input, load_nested, require_object
from taskapi.http.timezones import Timezone
from taskapi.tasks.recurrence.rules import (
    MAX_LENGTH,
    PATTERN,
    Anchor,
    GivenRecurrence,
    Rule,
    RuleError,
    parse,
)

_ABOUT = (
    "A recurrence rule (RFC 5545 section 3.3.10), in upper case and without `RRULE:`. FREQ is"
    " DAILY, WEEKLY, MONTHLY or YEARLY. UNTIL is a date if the due is a date. Otherwise it is a"
    " time in UTC (`20261224T170000Z`), a time without Z in the recurrence's time zone, or a date,"
    " which includes that day. `RSCALE=GREGORIAN;SKIP=BACKWARD` uses the last day of a month that"
    " lacks the day, `SKIP=FORWARD` the first day of the next month (RFC 7529); BYMONTHDAY is then"
    " added if the rule names no days. BYHOUR, BYMINUTE and BYSECOND are not supported, since the"
    " due has the time of day."
)


class RuleField(Value):
    """A recurrence rule, deserialized as a `Rule`."""

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


_ANCHOR_ABOUT = (
    "Whether the next occurrence is calculated from the due date or from the day of completion."
)


class AnchorField(Value):
    """The anchor of a recurrence, deserialized as an `Anchor`."""

    default_error_messages: Messages = {
        "invalid": Message("Must be due or completion.", "not_a_choice"),
    }

    def __init__(self, *, allow_none: bool = False, **kwargs: Any) -> None:
        names = [anchor.value for anchor in Anchor]
        shape = {
            "type": "string",
            "enum": [*names, None] if allow_none else names,
            "description": _ANCHOR_ABOUT + " `due` by default.",
        }
        super().__init__(metadata=shape, allow_none=allow_none, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Anchor:
        if value not in [anchor.value for anchor in Anchor]:
            raise self.make_error("invalid")
        return Anchor(value)


EXAMPLE = {"rrule": "FREQ=MONTHLY;BYDAY=-1FR", "anchor": "due", "timezone": "Europe/Berlin"}

TIMEZONE_ABOUT = (
    "The time zone in which the rule is evaluated. By default that of the due, or for a date that"
    " of the account, or UTC."
)


class NewRecurrence(Input):
    """A recurrence rule and how it is evaluated."""

    read_only = frozenset({"occurred"})
    drops_null = True
    rrule = RuleField(required=True)
    anchor = AnchorField(allow_none=True)
    timezone = Timezone(allow_none=True, metadata={"description": TIMEZONE_ABOUT})


class RecurrencePatch(Input):
    """Changes to a recurrence. Null restores the default of `anchor` and `timezone`."""

    read_only = frozenset({"occurred"})
    rrule = RuleField(allow_none=True)
    anchor = AnchorField(allow_none=True)
    timezone = Timezone(allow_none=True, metadata={"description": TIMEZONE_ABOUT})


class Recurrence(Schema):
    """A recurrence rule, how it is evaluated, and how often the task has occurred."""

    rrule = fields.String(
        required=True, metadata={"description": "The recurrence rule (RFC 5545)."}
    )
    anchor = fields.String(
        required=True,
        metadata={"enum": [anchor.value for anchor in Anchor], "description": _ANCHOR_ABOUT},
    )
    timezone = fields.String(
        required=True, metadata={"description": "The time zone in which the rule is evaluated."}
    )
    occurred = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "minimum": 0,
            "description": "The number of occurrences of this rule, including the current one. Null"
            " until the first one is completed or skipped.",
        },
    )


class OutputRecurrence(fields.Field[Any]):
    """A recurrence in a response."""

    alternatives: ClassVar[tuple[type[Schema], ...]] = (Recurrence,)


class RecurrenceField(Value):
    """A recurrence in a request, deserialized as a `GivenRecurrence`."""

    alternatives: ClassVar[tuple[type[Schema], ...]] = (NewRecurrence,)
    output_alternatives = OutputRecurrence.alternatives
    _schema = NewRecurrence()
    _names = frozenset(_schema.fields)

    def merged(self) -> PatchField:
        """The field in a merge patch."""
        return PatchField(self, RecurrencePatch(), lambda changes: self._names <= changes.keys())

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> GivenRecurrence:
        given = require_object(value, '{"rrule": "FREQ=WEEKLY"}')
        loaded = load_nested(self._schema, given)
        anchor = loaded.get("anchor", Anchor.DUE)
        return GivenRecurrence(loaded["rrule"], anchor, loaded.get("timezone"))
