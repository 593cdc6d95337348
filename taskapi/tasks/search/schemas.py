"""Shapes of what the call of search takes and answers."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import QueryInteger
from taskapi.http.pagination import PageShape
from taskapi.tasks.filters.parameters import search_text
from taskapi.tasks.schemas import EXAMPLE as TASK_EXAMPLE
from taskapi.tasks.schemas import AmongTasks, Task

EXAMPLE = {
    "task": TASK_EXAMPLE,
    "rank": 0.6079271,
    "title": [{"text": "Call the ", "is_match": False}, {"text": "bank", "is_match": True}],
    "snippet": [{"text": "About the standing order.", "is_match": False}],
}


class SearchQuery(AmongTasks):
    """Which tasks to search for, and among which."""

    text = search_text(required=True)
    limit = QueryInteger(
        least=1,
        most=100,
        load_default=20,
        metadata={"description": "How many to answer at most."},
    )


class Words(Schema):
    """A piece of a text."""

    text = fields.String(required=True)
    is_match = fields.Boolean(required=True, metadata={"description": "Whether it matches."})


class FoundTask(Schema):
    """A task that was found by its words."""

    task = fields.Nested(Task, required=True)
    rank = fields.Float(
        required=True,
        metadata={"minimum": 0, "maximum": 1, "description": "How well it matches; 1 is best."},
    )
    title = fields.List(
        fields.Nested(Words), required=True, metadata={"description": "Its title, in pieces."}
    )
    snippet = fields.List(
        fields.Nested(Words),
        required=True,
        allow_none=True,
        metadata={
            "description": "What of its description is about the words, in pieces; its beginning"
            " where none is there."
        },
    )


class FoundTasks(PageShape):
    """A page of tasks that were found by their words."""

    results = fields.List(fields.Nested(FoundTask), required=True)
    total = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Null: it is not counted."}
    )
