"""Shapes of what the calls of lists take and answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import (
    WRITTEN_HERE,
    Choice,
    Color,
    Id,
    Input,
    Name,
    Position,
    QueryBoolean,
    ShownColor,
    ShownName,
    Timestamp,
    TrueOrFalse,
    Version,
    WholeNumber,
)
from taskapi.http.openapi import ProblemDetails
from taskapi.http.pagination import PageQuery, PageShape, sort_field
from taskapi.identity import MAX_ID

SORT_NAMES = ("created_at", "name", "position")

EXAMPLE = {
    "id": 7,
    "user_id": 1,
    "name": "Garden",
    "color": "#2e7d32",
    "is_inbox": False,
    "is_archived": False,
    "position": "5000000000000000007",
    "version": 12,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
}
NEW_EXAMPLE = {"name": EXAMPLE["name"], "color": EXAMPLE["color"]}
MOVE_EXAMPLE = {"after": None}


class ListChanges(Input):
    """What of a list is to change; what is not given stays."""

    read_only = WRITTEN_HERE | {"is_inbox", "position"}
    name = Name()
    color = Color(allow_none=True)
    is_archived = TrueOrFalse()


class NewList(ListChanges):
    """A list to add."""

    name = Name(required=True)


class ListMove(Input):
    """Where a list is to go."""

    after = WholeNumber(
        least=1,
        most=MAX_ID,
        allow_none=True,
        metadata={
            "description": "The list behind which it comes; null to be the first. Without it, the"
            " last."
        },
    )


class ListQuery(PageQuery):
    """Which lists to show, and how."""

    sort = sort_field(SORT_NAMES, default="created_at")
    is_archived = QueryBoolean(metadata={"description": "Only those that are, or are not."})


class ListDeletion(Input):
    """What becomes of a list's tasks."""

    tasks = Choice(
        "move",
        "delete",
        metadata={"description": "What to do with its tasks: to the inbox, or away with it."},
    )


class List(Schema):
    """What tasks are sorted into."""

    id = Id("The list's id. The inbox has the account's.")
    user_id = Id("The account that it belongs to.")
    name = ShownName()
    color = ShownColor()
    is_inbox = fields.Boolean(
        required=True, metadata={"description": "Where tasks go that name no list."}
    )
    is_archived = fields.Boolean(required=True)
    position = Position()
    version = Version(least=0)
    created_at = Timestamp("When it was added.")
    updated_at = Timestamp("When it was last changed.")


class Lists(PageShape):
    """A page of lists."""

    lists = fields.List(fields.Nested(List), required=True)


class ListConflict(ProblemDetails):
    """The list has another version by now."""

    list = fields.Nested(List, required=True, metadata={"description": "As it is now."})
