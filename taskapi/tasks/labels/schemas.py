"""The schemas of labels."""

from __future__ import annotations

from marshmallow import Schema

from taskapi.http.fields import Color, Id, Name, Timestamp, Version, WholeNumber
from taskapi.http.pagination import PageQuery, sort_field
from taskapi.http.resources import Resource
from taskapi.http.schemas import Input
from taskapi.identity import MAX_ID

SORT_NAMES = ("name", "created_at")

EXAMPLE = {
    "id": 3,
    "user_id": 1,
    "name": "Urgent",
    "color": "#c62828",
    "workspace_id": 1,
    "version": 12,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
}
NEW_EXAMPLE = {"name": EXAMPLE["name"], "color": EXAMPLE["color"]}


class Label(Schema):
    """A label of tasks."""

    id = Id("The ID of the label.", dump_only=True)
    user_id = Id("The user who created the label.", dump_only=True)
    name = Name("The name. Unique, ignoring case.", required=True)
    color = Color()
    workspace_id = Id("The ID of the workspace.", dump_only=True)
    version = Version()
    created_at = Timestamp("When the label was created.", dump_only=True)
    updated_at = Timestamp("When the label was last changed.", dump_only=True)


LABEL = Resource(noun="label", declared=Label, example=EXAMPLE)


class LabelMerge(Input):
    """A merge of a label into another label."""

    into = WholeNumber(
        least=1,
        most=MAX_ID,
        required=True,
        metadata={
            "description": "The ID of another label, which replaces this label on all tasks."
        },
    )


class LabelQuery(PageQuery):
    """Page and order of labels."""

    sort = sort_field(SORT_NAMES, default="name")
