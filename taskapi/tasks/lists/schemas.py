"""The schemas of lists."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.db.positions import FIRST_POSITION_EXAMPLE, position_text
from taskapi.http.fields import (
    Choice,
    Color,
    Id,
    Name,
    Position,
    QueryBoolean,
    Timestamp,
    TrueOrFalse,
    Version,
    after_field,
)
from taskapi.http.pagination import PageQuery, sort_field
from taskapi.http.representation import computed
from taskapi.http.resources import Resource
from taskapi.http.schemas import Input

SORT_NAMES = ("created_at", "name", "position")

EXAMPLE = {
    "id": 7,
    "user_id": 1,
    "name": "Garden",
    "color": "#2e7d32",
    "is_inbox": False,
    "is_archived": False,
    "position": "5000000000000000007",
    "workspace_id": 1,
    "version": 12,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
}
NEW_EXAMPLE = {"name": EXAMPLE["name"], "color": EXAMPLE["color"]}
MOVE_EXAMPLE = {"after": None}
MOVED_EXAMPLE = EXAMPLE | {"position": FIRST_POSITION_EXAMPLE, "version": 13}


class TaskList(Schema):
    """A list of tasks."""

    id = Id("The ID of the list. The inbox has the ID of the user.", dump_only=True)
    user_id = Id("The user who created the list.", dump_only=True)
    name = Name("The name. Unique, ignoring case.", required=True)
    color = Color()
    is_inbox = computed(
        fields.Boolean(
            dump_only=True,
            metadata={"description": "Whether this is the inbox: the list of tasks without one."},
        ),
        lambda row: row.id == row.workspace_id,
    )
    is_archived = TrueOrFalse(
        metadata={"description": "Whether clients should hide the list.", "null": False}
    )
    position = computed(Position(), position_text)
    workspace_id = Id("The ID of the workspace.", dump_only=True)
    version = Version(least=0)
    created_at = Timestamp("When the list was created.", dump_only=True)
    updated_at = Timestamp("When the list was last changed.", dump_only=True)


def _count(about: str) -> fields.Integer:
    return fields.Integer(dump_only=True, metadata={"minimum": 0, "description": about})


class CountedTaskList(TaskList):
    """A list with the numbers of its tasks."""

    open_count = _count("The number of open tasks, including subtasks.")
    completed_count = _count("The number of completed tasks, including subtasks.")


LIST = Resource(
    noun="list",
    declared=TaskList,
    example=EXAMPLE,
    in_pages=CountedTaskList,
    example_in_pages={"open_count": 3, "completed_count": 5},
)


class ListMove(Input):
    """A move of a list in the manual order."""

    after = after_field("The ID of the list to move behind.")


class ListQuery(PageQuery):
    """Page, order and filters of lists."""

    sort = sort_field(SORT_NAMES, default="created_at")
    is_archived = QueryBoolean(
        metadata={"description": "Only archived lists, or only other lists."}
    )


class ListDeletion(Input):
    """What happens to the tasks of a deleted list."""

    tasks = Choice(
        "move",
        "delete",
        metadata={
            "description": "Whether to move the tasks of the list to the inbox, or to delete them."
            " Required unless the list is empty."
        },
    )
