"""Shapes of what the calls of occurrences take and answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import Id, Input, QueryBoolean, Timestamp, Version
from taskapi.http.pagination import PageShape
from taskapi.tasks.dues import TIME_EXAMPLE, ShownDue
from taskapi.tasks.schemas import EXAMPLE as TASK_EXAMPLE
from taskapi.tasks.schemas import Task

EXAMPLE = {
    "id": 5,
    "user_id": 1,
    "task_id": 42,
    "outcome": "completed",
    "missed": 0,
    "due": TIME_EXAMPLE | {"at": "2026-12-24T17:00:00Z"},
    "version": 8,
    "created_at": "2026-12-24T16:45:00.123456Z",
}
STEP_EXAMPLE = {"task": TASK_EXAMPLE, "occurrence": EXAMPLE, "next": TASK_EXAMPLE["due"]}


class StepQuery(Input):
    """How a task goes on from one occurrence to the next."""

    keep_missed = QueryBoolean(
        load_default=False,
        metadata={
            "description": "Whether the next occurrence may be one whose time is over already; else"
            " those are left out, and counted as `missed`."
        },
    )


class Occurrence(Schema):
    """An occurrence that is over."""

    id = Id("The occurrence's id; later ones are greater.")
    user_id = Id("The account that it belongs to.")
    task_id = Id("The task.")
    outcome = fields.String(required=True, metadata={"enum": ["completed", "skipped"]})
    missed = fields.Integer(
        required=True,
        metadata={"minimum": 0, "description": "How many were left out between it and the next."},
    )
    due = ShownDue(required=True)
    version = Version()
    created_at = Timestamp("When it was completed or skipped.")


class Step(Schema):
    """A task that went from one occurrence to another."""

    task = fields.Nested(Task, required=True, metadata={"description": "As it is now."})
    occurrence = fields.Nested(
        Occurrence,
        required=True,
        allow_none=True,
        metadata={
            "description": "The one that is over, or was; null for a task that does not come again."
        },
    )
    next = ShownDue(required=True, allow_none=True)


class OccurrenceList(PageShape):
    """A page of occurrences."""

    occurrences = fields.List(fields.Nested(Occurrence), required=True)
