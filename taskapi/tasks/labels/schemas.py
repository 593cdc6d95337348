"""Shapes of what the calls of labels take and answer."""

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
    Timestamp,
    Version,
    WholeNumber,
)
from taskapi.http.openapi import ProblemDetails
from taskapi.http.pagination import PageQuery, PageShape, sort_field
from taskapi.identity import MAX_ID

SORT_NAMES = ("name", "created_at")

EXAMPLE = {
    "id": 3,
    "user_id": 1,
    "name": "Urgent",
    "color": "#c62828",
    "version": 12,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
}
NEW_EXAMPLE = {"name": EXAMPLE["name"], "color": EXAMPLE["color"]}


class LabelChanges(Input):
    """What of a label is to change; what is not given stays."""

    read_only = WRITTEN_HERE
    name = Name("No two are the same, ASCII case aside.")
    color = Color(allow_none=True)


class NewLabel(LabelChanges):
    """A label to add."""

    name = Name("No two are the same, ASCII case aside.", required=True)


class LabelMerge(Input):
    """Which label is to take the place of one."""

    into = WholeNumber(
        least=1, most=MAX_ID, required=True, metadata={"description": "Another of your labels."}
    )


class LabelQuery(PageQuery):
    """Which labels to show, and how."""

    sort = sort_field(SORT_NAMES, default="name")


class Label(Schema):
    """A word that tasks are marked with."""

    id = Id("The label's id.")
    user_id = Id("The account that it belongs to.")
    name = ShownName()
    color = ShownColor()
    version = Version()
    created_at = Timestamp("When it was added.")
    updated_at = Timestamp("When it was last changed.")


class Labels(PageShape):
    """A page of labels."""

    labels = fields.List(fields.Nested(Label), required=True)


class LabelConflict(ProblemDetails):
    """The label has another version by now."""

    label = fields.Nested(Label, required=True, metadata={"description": "As it is now."})
