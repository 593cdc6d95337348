"""Shapes of what the calls of filters take and answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import (
    WRITTEN_HERE,
    Color,
    Id,
    Input,
    Name,
    ShownColor,
    ShownName,
    Text,
    Timestamp,
    Version,
)
from taskapi.http.openapi import ProblemDetails
from taskapi.http.pagination import PageQuery, PageShape, sort_field
from taskapi.tasks.filters.grammar import MAX_LENGTH

SORT_NAMES = ("created_at", "name")

EXAMPLE = {
    "id": 5,
    "user_id": 1,
    "name": "Urgent",
    "query": "not completed and (priority >= 3 or due <= today)",
    "color": "#c62828",
    "version": 12,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
}
NEW_EXAMPLE = {name: EXAMPLE[name] for name in ("name", "query", "color")}

_QUERY = "In the language of the guide to filters. What it names need not be there yet."


def _query(*, required: bool) -> Text:
    return Text(least=1, most=MAX_LENGTH, required=required, metadata={"description": _QUERY})


class FilterChanges(Input):
    """What of a filter is to change; what is not given stays."""

    read_only = WRITTEN_HERE
    name = Name()
    query = _query(required=False)
    color = Color(allow_none=True)


class NewFilter(FilterChanges):
    """A filter to keep."""

    name = Name(required=True)
    query = _query(required=True)


class FilterQuery(PageQuery):
    """How to show the filters."""

    sort = sort_field(SORT_NAMES, default="created_at")


class Filter(Schema):
    """A filter of tasks that is kept."""

    id = Id("The filter's id.")
    user_id = Id("The account that it belongs to.")
    name = ShownName()
    query = fields.String(required=True, metadata={"minLength": 1, "maxLength": MAX_LENGTH})
    color = ShownColor()
    version = Version()
    created_at = Timestamp("When it was added.")
    updated_at = Timestamp("When it was last changed.")


class Filters(PageShape):
    """A page of filters."""

    filters = fields.List(fields.Nested(Filter), required=True)


class FilterConflict(ProblemDetails):
    """The filter has another version by now."""

    filter = fields.Nested(Filter, required=True, metadata={"description": "As it is now."})
