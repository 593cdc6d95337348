"""The schemas of saved filters."""

from __future__ import annotations

from marshmallow import Schema

from taskapi.http.fields import Color, Id, Name, Text, Timestamp, Version
from taskapi.http.pagination import PageQuery, sort_field
from taskapi.http.resources import Resource
from taskapi.tasks.filters.grammar import MAX_LENGTH

SORT_NAMES = ("created_at", "name")

EXAMPLE = {
    "id": 5,
    "user_id": 1,
    "name": "Urgent",
    "query": "not completed and (priority >= 3 or due <= today)",
    "color": "#c62828",
    "workspace_id": 1,
    "version": 12,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
}
NEW_EXAMPLE = {name: EXAMPLE[name] for name in ("name", "query", "color")}


class SavedFilter(Schema):
    """A saved filter of tasks."""

    id = Id("The ID of the filter.", dump_only=True)
    user_id = Id("The user who created the filter.", dump_only=True)
    name = Name("The name. Unique, ignoring case.", required=True)
    query = Text(
        least=1,
        most=MAX_LENGTH,
        required=True,
        metadata={
            "description": "A filter expression. The lists, labels and tasks that it references"
            " need not exist until it is used."
        },
    )
    color = Color()
    workspace_id = Id("The ID of the workspace.", dump_only=True)
    version = Version()
    created_at = Timestamp("When the filter was created.", dump_only=True)
    updated_at = Timestamp("When the filter was last changed.", dump_only=True)


FILTER = Resource(noun="filter", declared=SavedFilter, example=EXAMPLE)


class FilterQuery(PageQuery):
    """Page and order of saved filters."""

    sort = sort_field(SORT_NAMES, default="created_at")
