"""The schemas of the preview of a recurrence."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import WholeNumber
from taskapi.http.schemas import Input
from taskapi.http.timezones import Instant, Timezone
from taskapi.tasks.dues import TIME_EXAMPLE, DueField, OutputDue
from taskapi.tasks.recurrence.fields import EXAMPLE as RECURRENCE_EXAMPLE
from taskapi.tasks.recurrence.fields import TIMEZONE_ABOUT, AnchorField, RuleField

MAX_COUNT = 100

PREVIEW_EXAMPLE = RECURRENCE_EXAMPLE | {
    "due": TIME_EXAMPLE | {"datetime": "2026-09-25T18:00:00"},
    "count": 2,
}
EXAMPLE = {
    "occurrences": [
        TIME_EXAMPLE | {"datetime": "2026-09-25T18:00:00", "at": "2026-09-25T16:00:00Z"},
        TIME_EXAMPLE | {"datetime": "2026-10-30T18:00:00", "at": "2026-10-30T17:00:00Z"},
    ],
    "has_more": True,
}


class NewRecurrencePreview(Input):
    """A recurrence to preview."""

    drops_null = True
    rrule = RuleField(required=True)
    anchor = AnchorField(allow_none=True)
    timezone = Timezone(allow_none=True, metadata={"description": TIMEZONE_ABOUT})
    due = DueField(
        required=True, metadata={"description": "The date or time at which the rule starts."}
    )
    count = WholeNumber(
        least=1,
        most=MAX_COUNT,
        allow_none=True,
        metadata={"description": "The number of occurrences to return. 10 by default."},
    )
    completed_at = Instant(
        allow_none=True,
        metadata={
            "description": "When the first occurrence is completed. Only with the anchor"
            " `completion`. By default, each occurrence is completed on its due date."
        },
    )


class RecurrencePreview(Schema):
    """The first occurrences of a recurrence."""

    occurrences = fields.List(
        OutputDue(),
        required=True,
        metadata={"description": "The occurrences, in order. They include `due` if it matches."},
    )
    has_more = fields.Boolean(
        required=True, metadata={"description": "Whether more occurrences follow."}
    )
