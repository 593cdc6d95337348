"""Shapes of what the calls of recurrence take and answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import WholeNumber
from taskapi.http.schemas import Input
from taskapi.tasks.dues import TIME_EXAMPLE, DueField, ShownDue
from taskapi.tasks.recurrence.fields import EXAMPLE as RECURRENCE_EXAMPLE
from taskapi.tasks.recurrence.fields import TIMEZONE_ABOUT, AnchorField, RuleField
from taskapi.tasks.timezones import Instant, Timezone

MOST = 100

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
    """A recurrence to preview, and its first due."""

    rrule = RuleField(required=True)
    anchor = AnchorField()
    timezone = Timezone(metadata={"description": TIMEZONE_ABOUT})
    due = DueField(required=True)
    count = WholeNumber(least=1, most=MOST, metadata={"description": "How many to show; else 10."})
    completed_at = Instant(
        metadata={
            "description": "With the anchor `completion`: when the due is completed, instead of on"
            " its own day."
        }
    )


class RecurrencePreview(Schema):
    """The first occurrences of a recurrence."""

    occurrences = fields.List(
        ShownDue(),
        required=True,
        metadata={"description": "The first ones, in order; the due is among them if it matches."},
    )
    has_more = fields.Boolean(
        required=True, metadata={"description": "Whether there are others after them."}
    )
