"""Shapes of what the calls of tasks take and answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.core.identity import MAX_ID
from taskapi.core.openapi import ProblemDetails
from taskapi.core.pagination import NEWEST_FIRST, PageQuery, PageShape, sort_field
from taskapi.core.schemas import (
    Id,
    Input,
    QueryBoolean,
    QueryInteger,
    Text,
    Timestamp,
    TrueOrFalse,
    Version,
    WholeNumber,
)

SORT_NAMES = ("created_at", "updated_at", "title")

EXAMPLE = {
    "id": 42,
    "user_id": 1,
    "title": "Call the bank",
    "description": "About the standing order.",
    "is_completed": False,
    "list_id": 1,
    "version": 7,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
}
NEW_EXAMPLE = {"title": EXAMPLE["title"], "description": EXAMPLE["description"]}


def _title(*, required: bool) -> Text:
    about = "Without the white space at its ends."
    return Text(least=1, most=255, trim=True, required=required, metadata={"description": about})


class TaskChanges(Input):
    """What of a task is to change; what is not given stays."""

    read_only = frozenset({"id", "user_id", "version", "created_at", "updated_at"})
    title = _title(required=False)
    description = Text(most=10_000, allow_none=True)
    is_completed = TrueOrFalse()
    list_id = WholeNumber(
        least=1, most=MAX_ID, metadata={"description": "One of your lists; else it is the inbox."}
    )


class NewTask(TaskChanges):
    """A task to add."""

    title = _title(required=True)


class TaskQuery(PageQuery):
    """Which tasks to list, and how."""

    sort = sort_field(SORT_NAMES, default=NEWEST_FIRST)
    list_id = QueryInteger(
        least=1, most=MAX_ID, metadata={"description": "Only those of this list."}
    )
    is_completed = QueryBoolean(metadata={"description": "Only those that are, or are not."})


class Task(Schema):
    """Something to do."""

    id = Id("The task's id; later ones are greater.")
    user_id = Id("The account that it belongs to.")
    title = fields.String(required=True, metadata={"minLength": 1, "maxLength": 255})
    description = fields.String(required=True, allow_none=True, metadata={"maxLength": 10_000})
    is_completed = fields.Boolean(required=True)
    list_id = Id("The list that it is in.")
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
            "description": "How many match, on all pages together; null with `list_id`.",
        },
    )


class TaskConflict(ProblemDetails):
    """The task has another version by now."""

    task = fields.Nested(Task, required=True, metadata={"description": "As it is now."})
