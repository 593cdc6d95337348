"""The schemas of tasks."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from taskapi.db.pages import NEWEST_FIRST
from taskapi.db.positions import FIRST_POSITION_EXAMPLE, position_text
from taskapi.http.fields import (
    Id,
    Ids,
    Name,
    Position,
    QueryBoolean,
    QueryInteger,
    Text,
    Timestamp,
    TrueOrFalse,
    Version,
    WholeNumber,
    after_field,
)
from taskapi.http.pagination import PageQuery, sort_field
from taskapi.http.representation import computed, declared_fields
from taskapi.http.resources import Resource
from taskapi.http.schemas import Input
from taskapi.http.timezones import CompletionTime
from taskapi.identity import MAX_ID
from taskapi.tasks.due_columns import due_representation
from taskapi.tasks.dues import TIME_EXAMPLE, DueField
from taskapi.tasks.filters.parameters import FilterParameters
from taskapi.tasks.models import MAX_ESTIMATE, MAX_LABELS, MAX_PRIORITY
from taskapi.tasks.recurrence.fields import EXAMPLE as RECURRENCE_EXAMPLE
from taskapi.tasks.recurrence.fields import RecurrenceField
from taskapi.tasks.values import list_of, represent_recurrence

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
    "due": TIME_EXAMPLE | {"at": "2026-11-27T17:00:00Z"},
    "start": None,
    "recurrence": RECURRENCE_EXAMPLE | {"occurred": None},
    "estimate_minutes": None,
    "label_ids": [],
    "comment_count": 0,
    "assignee_id": None,
    "workspace_id": 1,
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
PATCH_EXAMPLE = {"priority": 3, "estimate_minutes": None}
MOVE_EXAMPLE = {"parent_id": None, "after": None}
MOVED_EXAMPLE = EXAMPLE | {"position": FIRST_POSITION_EXAMPLE, "version": 8}
LABELED_EXAMPLE = EXAMPLE | {"label_ids": [3], "version": 8}


def _list_field(**metadata: Any) -> WholeNumber:
    about = "The ID of the list. The inbox has the ID of the workspace."
    return WholeNumber(least=1, most=MAX_ID, metadata={"description": about, **metadata})


def _parent_field() -> WholeNumber:
    about = "The ID of the parent task, whose list the subtask shares. Null for a top-level task."
    return WholeNumber(least=1, most=MAX_ID, allow_none=True, metadata={"description": about})


def _assignee_field() -> WholeNumber:
    about = "The ID of the member who is to do the task. Null if it is assigned to nobody."
    metadata = {"description": about, "filter": "assignee"}
    return WholeNumber(least=1, most=MAX_ID, allow_none=True, metadata=metadata)


class Task(Schema):
    """A task."""

    id = Id("The ID of the task. Later tasks have greater IDs.", dump_only=True)
    user_id = Id("The user who created the task.", dump_only=True)
    title = Name("The title.", required=True)
    description = Text(
        most=10_000,
        allow_none=True,
        metadata={"description": "Notes on the task: plain text, stored as given."},
    )
    is_completed = TrueOrFalse(
        metadata={
            "description": "Whether the task is completed. Completing a task completes its"
            " subtasks.",
            "filter": "completed",
        }
    )
    completed_at = CompletionTime(
        allow_none=True,
        metadata={
            "description": "When the task was completed. Null while it is open. It can be set"
            " together with `is_completed: true`, at most a day in the future, and is ignored"
            " otherwise."
        },
    )
    list_id = computed(_list_field(null=None), list_of)
    parent_id = _parent_field()
    position = computed(Position(), position_text)
    priority = WholeNumber(
        least=0,
        most=MAX_PRIORITY,
        metadata={
            "description": "From 0 (none) to 4 (highest).",
            "null": 0,
            "sort": True,
            "filter": "priority",
        },
    )
    due = computed(
        DueField(
            allow_none=True,
            metadata={"description": "The due date, or the due time in a time zone."},
        ),
        due_representation("due"),
    )
    start = computed(
        DueField(
            allow_none=True,
            metadata={"description": "The date or time from which the task can be worked on."},
        ),
        due_representation("start"),
    )
    recurrence = computed(
        RecurrenceField(
            allow_none=True,
            metadata={"description": "How the due date advances. Requires `due`."},
        ),
        represent_recurrence,
    )
    estimate_minutes = WholeNumber(
        least=1,
        most=MAX_ESTIMATE,
        allow_none=True,
        metadata={"description": "The estimated duration in minutes.", "filter": "estimate"},
    )
    label_ids = computed(
        Ids(
            most=MAX_LABELS,
            metadata={"description": "The IDs of the task's labels, ascending.", "null": []},
        ),
        lambda row: row.label_ids or [],
    )
    comment_count = fields.Integer(
        dump_only=True,
        metadata={"minimum": 0, "description": "The number of comments on the task."},
    )
    assignee_id = _assignee_field()
    workspace_id = Id("The ID of the workspace.", dump_only=True)
    version = Version()
    created_at = Timestamp("When the task was created.", dump_only=True)
    updated_at = Timestamp("When the task was last changed.", dump_only=True)


TASK = Resource(noun="task", declared=Task, example=EXAMPLE)

SORTED_NUMBERS = {
    name: field.most
    for name, field in declared_fields(Task).items()
    if isinstance(field, WholeNumber) and field.metadata.get("sort")
}
"""The whole numbers that lists sort by, with their greatest values."""

SORT_NAMES = ("created_at", "updated_at", "title", "due", *SORTED_NUMBERS, "position")


class TaskMove(Input):
    """A move of a task. Omitted lists and parents stay the same."""

    list_id = _list_field()
    parent_id = _parent_field()
    after = after_field("The ID of the task to move behind, with the same list and parent.")


class FilteredTasksQuery(PageQuery, FilterParameters):
    """Page and filters of tasks."""

    list_id = QueryInteger(
        least=1, most=MAX_ID, metadata={"description": "Only tasks in this list."}
    )
    is_completed = QueryBoolean(
        metadata={"description": "Only completed tasks, or only open tasks."}
    )


class TaskQuery(FilteredTasksQuery):
    """Page, filters and order of tasks."""

    sort = sort_field(SORT_NAMES, default=NEWEST_FIRST)
    count = QueryBoolean(
        metadata={
            "description": "Whether to count the tasks of all pages, which takes longer if many"
            " match. Without it, `total` is null for a list or a filter."
        }
    )


TaskPage = TASK.page(
    total=fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "minimum": 0,
            "description": "The number of matches on all pages. Null if a parameter other than"
            " `is_completed` filters the tasks, because they are not counted then.",
        },
    )
)
