"""The schemas of occurrences."""

from __future__ import annotations

from datetime import datetime

from marshmallow import Schema, fields

from taskapi.http.fields import Id, QueryBoolean, Timestamp, TrueOrFalse, Version
from taskapi.http.representation import (
    computed,
    output_schema,
    page_schema,
    representation,
)
from taskapi.http.schemas import Input
from taskapi.http.timezones import CompletionTime
from taskapi.tasks.due_columns import due_representation
from taskapi.tasks.dues import OutputDue
from taskapi.tasks.occurrences import models
from taskapi.tasks.recurrence.fields import EXAMPLE as RECURRENCE_EXAMPLE
from taskapi.tasks.schemas import EXAMPLE as TASK_EXAMPLE
from taskapi.tasks.schemas import TASK

EXAMPLE = {
    "id": 5,
    "user_id": 1,
    "task_id": 42,
    "outcome": "completed",
    "missed": 0,
    "due": TASK_EXAMPLE["due"],
    "workspace_id": 1,
    "version": 8,
    "completed_at": "2026-11-27T16:45:00Z",
    "created_at": "2026-11-27T17:20:31.123456Z",
}
NEXT_DUE = {
    "datetime": "2026-12-25T18:00:00",
    "timezone": "Europe/Berlin",
    "at": "2026-12-25T17:00:00Z",
}
COMPLETED_EXAMPLE = {
    "task": TASK_EXAMPLE
    | {"due": NEXT_DUE, "recurrence": RECURRENCE_EXAMPLE | {"occurred": 2}, "version": 9},
    "occurrence": EXAMPLE,
    "next": NEXT_DUE,
}
COMPLETION_EXAMPLE = {"completed_at": "2026-11-27T16:45:00Z"}
SKIPPED_EXAMPLE = COMPLETED_EXAMPLE | {
    "occurrence": EXAMPLE | {"outcome": "skipped", "completed_at": None}
}
UNDONE_EXAMPLE = {
    "task": TASK_EXAMPLE | {"version": 11},
    "occurrence": EXAMPLE,
    "next": TASK_EXAMPLE["due"],
}


class AdvanceQuery(Input):
    """Options for advancing a recurring task."""

    keep_missed = QueryBoolean(
        load_default=False,
        metadata={
            "description": "Whether the next occurrence can be in the past. By default, missed"
            " occurrences are omitted and counted in `missed`."
        },
    )


class Completion(Input):
    """A completion of a task or an occurrence."""

    drops_null = True
    completed_at = CompletionTime(
        allow_none=True,
        metadata={
            "description": "When it was completed, for clients that were offline: at most a day in"
            " the future. Now by default."
        },
    )
    keep_missed = TrueOrFalse(
        allow_none=True, metadata={"description": "As the query parameter of this name."}
    )


def completion_of(occurrence: models.Occurrence) -> datetime | None:
    """When an occurrence was completed; None if it was skipped."""
    if occurrence.outcome == "skipped":
        return None
    return occurrence.completed_at or occurrence.created_at


class Occurrence(Schema):
    """A completed or skipped occurrence of a recurring task."""

    id = Id("The ID of the occurrence. Later occurrences have greater IDs.")
    user_id = Id("The user who completed or skipped the occurrence.")
    task_id = Id("The ID of the task.")
    outcome = fields.String(
        metadata={
            "enum": ["completed", "skipped"],
            "description": "Whether it was completed or skipped.",
        }
    )
    missed = fields.Integer(
        metadata={
            "minimum": 0,
            "description": "The number of omitted occurrences between this one and the next.",
        }
    )
    due = computed(
        OutputDue(metadata={"description": "The due date or time of the occurrence."}),
        due_representation("due"),
    )
    workspace_id = Id("The ID of the workspace.")
    version = Version("The version of the workspace when it was completed or skipped.")
    completed_at = computed(
        Timestamp("When it was completed. Null if it was skipped.", allow_none=True),
        completion_of,
    )
    created_at = Timestamp("When the request that completed or skipped it was processed.")


represent = representation(Occurrence)
OUTPUT = output_schema(Occurrence)
OccurrencePage = page_schema("OccurrencePage", "occurrences", OUTPUT)


class OccurrenceResult(Schema):
    """A task after an occurrence was completed, skipped or undone."""

    task = fields.Nested(
        TASK.output, required=True, metadata={"description": "The task after the change."}
    )
    occurrence = fields.Nested(
        OUTPUT,
        required=True,
        allow_none=True,
        metadata={
            "description": "The occurrence that was completed, skipped or undone. Null if the task"
            " does not recur."
        },
    )
    next = OutputDue(
        required=True,
        allow_none=True,
        metadata={"description": "The next occurrence. Null if there is none."},
    )
