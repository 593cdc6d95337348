"""Violations of rules by input, and their codes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

FieldErrorCode = Literal[
    "after_due",
    "cycle",
    "due_required",
    "invalid",
    "invalid_cursor",
    "invalid_idempotency_key",
    "invalid_text",
    "length",
    "not_a_boolean",
    "not_a_choice",
    "not_a_color",
    "not_a_date",
    "not_a_day",
    "not_a_due",
    "not_a_list",
    "not_a_locale",
    "not_a_rule",
    "not_a_sibling",
    "not_a_string",
    "not_a_time",
    "not_a_zone",
    "not_an_email",
    "not_an_entity_tag",
    "not_an_instant",
    "not_an_object",
    "not_ids",
    "not_nullable",
    "not_supported",
    "not_the_parents_list",
    "not_together",
    "null",
    "operator",
    "out_of_range",
    "repeated",
    "required",
    "same_email",
    "same_label",
    "syntax",
    "too_costly",
    "too_deep",
    "too_many",
    "unknown_field",
    "unknown_part",
    "unknown_reference",
    "until_type",
    "wrong_code",
    "wrong_password",
    "wrong_type",
]
"""What a field error's code can be. mypy checks that every error uses one of these."""

FIELD_ERROR_CODES: tuple[FieldErrorCode, ...] = get_args(FieldErrorCode)

MEANINGS: dict[FieldErrorCode, str] = {
    "after_due": "The start is after the due.",
    "cycle": "The parent is the task itself or one of its subtasks.",
    "due_required": "A recurring task needs a due date.",
    "invalid": "The value is invalid in a way that has no code of its own.",
    "invalid_cursor": "The cursor does not belong to this list in this order.",
    "invalid_idempotency_key": "The Idempotency-Key has an invalid character or length.",
    "invalid_text": "The text contains NUL, a lone surrogate or bytes that are not UTF-8.",
    "length": "The text or list is too short or too long.",
    "not_a_boolean": "The value is not true or false.",
    "not_a_choice": "The value is not one of the allowed values.",
    "not_a_color": "The value is not a color like #2e7d32.",
    "not_a_date": "The value is not a date.",
    "not_a_day": "The value is not a day of a recurrence rule, like MO or -1FR.",
    "not_a_due": "The object has neither a date nor a datetime, or it has both.",
    "not_a_list": "The value is not an array.",
    "not_a_locale": "The value is not a language tag.",
    "not_a_rule": "The value is not a recurrence rule.",
    "not_a_sibling": "The row does not exist, or belongs to another list or parent.",
    "not_a_string": "The value is not a string.",
    "not_a_time": "The value is not a date or time of the required format.",
    "not_a_zone": "The value is not the name of an IANA time zone.",
    "not_an_email": "The value is not an email address.",
    "not_an_entity_tag": "The header is neither * nor a list of entity tags in quotes.",
    "not_an_instant": "The value is not a time with an offset.",
    "not_an_object": "The value is not a JSON object.",
    "not_ids": "The value is not a comma-separated list of IDs.",
    "not_nullable": "The filter compares a field with null that is never null.",
    "not_supported": "The recurrence rule uses a part that is not supported.",
    "not_the_parents_list": "The list is not the list of the parent task.",
    "not_together": "The value cannot be combined with another one.",
    "null": "The value must not be null.",
    "operator": "The field of the filter does not support this operator.",
    "out_of_range": "The number or time is too small or too large.",
    "repeated": "The value is given more than once.",
    "required": "The value is missing.",
    "same_email": "The address is the account's email already.",
    "same_label": "A label cannot be merged into itself.",
    "syntax": "The filter has a syntax error at `offset`.",
    "too_costly": "The conditions would take too long. Use fewer conditions that search texts.",
    "too_deep": "The value is nested too deeply.",
    "too_many": "The list or filter has too many elements.",
    "unknown_field": "The field or parameter does not exist.",
    "unknown_part": "The recurrence rule has a part that does not exist.",
    "unknown_reference": "The referenced row does not exist in the workspace.",
    "until_type": "UNTIL is a date and the due has a time, or the reverse.",
    "wrong_code": "The code of the second factor is wrong, or it was used before.",
    "wrong_password": "The current password is wrong.",
    "wrong_type": "A number is in quotes, or the field of the filter has another type.",
}


MAX_ERRORS = 100
"""The number of field errors that are reported for one request."""

_MAX_POINTER = 200


def shortened(name: str) -> str:
    """A name from a client's input, shortened for a response."""
    return name if len(name) <= _MAX_POINTER else f"{name[:_MAX_POINTER]}…"


def reference_token(name: str) -> str:
    """A name, escaped as a part of a JSON Pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


class FieldError(NamedTuple):
    """One violated rule.

    `pointer` is a JSON Pointer (RFC 6901) into the body, or the name of a parameter. `offset` is a
    position in a filter, in code points; None elsewhere.
    """

    pointer: str
    message: str
    code: FieldErrorCode
    offset: int | None = None

    def represent(self) -> dict[str, Any]:
        """The JSON of the error."""
        return {name: value for name, value in self._asdict().items() if value is not None}
