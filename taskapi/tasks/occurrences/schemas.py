"""The schemas of occurrences."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import Id, QueryBoolean, Timestamp, Version
from taskapi.http.representation import (
    computed,
    output_schema,
    page_schema,
    representation,
)
from taskapi.http.schemas import Input
from taskapi.tasks.due_columns import represent_due
from taskapi.tasks.dues import ShownDue
from taskapi.tasks.schemas import EXAMPLE as TASK_EXAMPLE
from taskapi.tasks.schemas import TASK

EXAMPLE = {
    "id": 5,
    "user_id": 1,
    "task_id": 42,
    "outcome": "completed",
    "missed": 0,
    "due": TASK_EXAMPLE["due"],
    "version": 8,
    "created_at": "2026-11-27T16:45:00.123456Z",
}
NEXT_DUE = {
    "datetime": "2026-12-25T18:00:00",
    "timezone": "Europe/Berlin",
    "at": "2026-12-25T17:00:00Z",
}
RESULT_EXAMPLE = {
    "task": TASK_EXAMPLE | {"due": NEXT_DUE, "version": 9},
    "occurrence": EXAMPLE,
    "next": NEXT_DUE,
}


class AdvanceQuery(Input):
    """How a recurring task advances to its next occurrence."""

    keep_missed = QueryBoolean(
        load_default=False,
        metadata={
            "description": "Whether the next occurrence may be in the past. By default, missed"
            " occurrences are left out and counted in `missed`."
        },
    )


class Occurrence(Schema):
    """A completed or skipped occurrence of a recurring task."""

    id = Id("The ID of the occurrence. Later occurrences have greater IDs.")
    user_id = Id("The user who completed or skipped the occurrence.")
    task_id = Id("The ID of the task.")
    outcome = fields.String(
        metadata={"enum": ["completed", "skipped"], "description": "What happened to it."}
    )
    missed = fields.Integer(
        metadata={
            "minimum": 0,
            "description": "How many occurrences between this one and the next were left out.",
        }
    )
    due = computed(ShownDue(metadata={"description": "When it was due."}), represent_due)
    version = Version()
    created_at = Timestamp("When it was completed or skipped.")


represent = representation("occurrence", Occurrence)
OUTPUT = output_schema(Occurrence)
OccurrencePage = page_schema("occurrences", OUTPUT)


class OccurrenceResult(Schema):
    """A task after an occurrence was completed, skipped or undone."""

    task = fields.Nested(TASK.output, required=True, metadata={"description": "Its current state."})
    occurrence = fields.Nested(
        OUTPUT,
        required=True,
        allow_none=True,
        metadata={
            "description": "The occurrence that was completed, skipped or undone. Null if the task"
            " does not recur."
        },
    )
    next = ShownDue(
        required=True,
        allow_none=True,
        metadata={"description": "The next due. Null if there is no next occurrence."},
    )
