"""Shapes of what the calls of tasks take and answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.db.pages import NEWEST_FIRST
from taskapi.http.fields import (
    WRITTEN_HERE,
    Id,
    Ids,
    Input,
    Name,
    Position,
    QueryBoolean,
    QueryInteger,
    ShownName,
    Text,
    Timestamp,
    TrueOrFalse,
    Version,
    WholeNumber,
)
from taskapi.http.openapi import ProblemDetails
from taskapi.http.pagination import PageQuery, PageShape, sort_field
from taskapi.identity import MAX_ID
from taskapi.tasks.dues import DATE_EXAMPLE, TIME_EXAMPLE, DueField, ShownDue
from taskapi.tasks.filters.parameters import FindingQuery
from taskapi.tasks.models import MAX_ESTIMATE, MAX_LABELS, MAX_PRIORITY
from taskapi.tasks.recurrence.fields import EXAMPLE as RECURRENCE_EXAMPLE
from taskapi.tasks.recurrence.fields import RecurrenceField, ShownRecurrence

SORT_NAMES = ("created_at", "updated_at", "title", "due", "priority", "position")

EXAMPLE = {
    "id": 42,
    "user_id": 1,
    "title": "Call the bank",
    "description": "About the standing order.",
    "is_completed": False,
    "completed_at": None,
    "list_id": 1,
    "parent_id": None,
    "position": "5000000000000000042",
    "priority": 3,
    "due": TIME_EXAMPLE | {"at": "2026-12-24T17:00:00Z"},
    "start": DATE_EXAMPLE,
    "recurrence": RECURRENCE_EXAMPLE | {"occurred": None},
    "estimate_minutes": 15,
    "label_ids": [3],
    "version": 7,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
}
NEW_EXAMPLE = {
    "title": EXAMPLE["title"],
    "description": EXAMPLE["description"],
    "priority": 3,
    "due": TIME_EXAMPLE,
    "recurrence": RECURRENCE_EXAMPLE,
}
MOVE_EXAMPLE = {"parent_id": None, "after": None}


class _Place(Input):
    """Where a task is."""

    read_only = WRITTEN_HERE | {"completed_at", "position"}
    list_id = WholeNumber(
        least=1, most=MAX_ID, metadata={"description": "One of your lists; else it is the inbox."}
    )
    parent_id = WholeNumber(
        least=1,
        most=MAX_ID,
        allow_none=True,
        metadata={
            "description": "The task that it is a part of; it is then in that one's list. Null for"
            " a task of its own."
        },
    )


class TaskChanges(_Place):
    """What of a task is to change; what is not given stays."""

    title = Name()
    description = Text(most=10_000, allow_none=True)
    is_completed = TrueOrFalse(
        metadata={"description": "Completing a task completes the tasks below it."}
    )
    priority = WholeNumber(
        least=0, most=MAX_PRIORITY, metadata={"description": "0 for none, to 4 for the highest."}
    )
    due = DueField(allow_none=True)
    start = DueField(allow_none=True)
    recurrence = RecurrenceField(allow_none=True)
    estimate_minutes = WholeNumber(
        least=1,
        most=MAX_ESTIMATE,
        allow_none=True,
        metadata={"description": "How long it may take."},
    )
    label_ids = Ids(most=MAX_LABELS, metadata={"description": "Labels of yours, and no others."})


class NewTask(TaskChanges):
    """A task to add."""

    title = Name(required=True)


class TaskMove(_Place):
    """Where a task is to go; a list or parent that is not given stays."""

    read_only = frozenset()
    after = WholeNumber(
        least=1,
        most=MAX_ID,
        allow_none=True,
        metadata={
            "description": "The task behind which it comes, in that list and with that parent; null"
            " to be the first. Without it, the last."
        },
    )


class AmongTasks(PageQuery, FindingQuery):
    """Among which tasks to look."""

    list_id = QueryInteger(
        least=1, most=MAX_ID, metadata={"description": "Only those of this list."}
    )
    is_completed = QueryBoolean(metadata={"description": "Only those that are, or are not."})


class TaskQuery(AmongTasks):
    """Which tasks to list, and how."""

    sort = sort_field(SORT_NAMES, default=NEWEST_FIRST)


class Task(Schema):
    """Something to do."""

    id = Id("The task's id; later ones are greater.")
    user_id = Id("The account that it belongs to.")
    title = ShownName()
    description = fields.String(required=True, allow_none=True, metadata={"maxLength": 10_000})
    is_completed = fields.Boolean(required=True)
    completed_at = Timestamp(
        "When it was completed; null when that was before this was recorded.", allow_none=True
    )
    list_id = Id("The list that it is in.")
    parent_id = Id("The task that it is a part of.", allow_none=True)
    position = Position()
    priority = fields.Integer(required=True, metadata={"minimum": 0, "maximum": MAX_PRIORITY})
    due = ShownDue(required=True, allow_none=True)
    start = ShownDue(required=True, allow_none=True)
    recurrence = ShownRecurrence(required=True, allow_none=True)
    estimate_minutes = fields.Integer(
        required=True, allow_none=True, metadata={"minimum": 1, "maximum": MAX_ESTIMATE}
    )
    label_ids = fields.List(
        Id("A label."), required=True, metadata={"description": "Its labels, ascending."}
    )
    version = Version()
    created_at = Timestamp("When it was added.")
    updated_at = Timestamp("When it was last changed.")


class TaskList(PageShape):
    """A page of tasks."""

    tasks = fields.List(fields.Nested(Task), required=True)
    total = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "minimum": 0,
            "description": "How many match, on all pages together; null where anything but"
            " `is_completed` says which, since they would have to be counted.",
        },
    )


class TaskConflict(ProblemDetails):
    """The task has another version by now."""

    task = fields.Nested(Task, required=True, metadata={"description": "As it is now."})
