"""The schemas of search."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import QueryInteger
from taskapi.http.pagination import PageShape
from taskapi.tasks.filters.parameters import search_text
from taskapi.tasks.schemas import EXAMPLE as TASK_EXAMPLE
from taskapi.tasks.schemas import TASK, AmongTasks

EXAMPLE = {
    "task": TASK_EXAMPLE,
    "rank": 1.0,
    "title": [{"text": "Call the ", "is_match": False}, {"text": "bank", "is_match": True}],
    "snippet": [{"text": "About the standing order.", "is_match": False}],
}


class SearchQuery(AmongTasks):
    """What to search for, and in which tasks."""

    text = search_text(required=True)
    limit = QueryInteger(
        least=1,
        most=100,
        load_default=20,
        metadata={"description": "The greatest number of results on a page."},
    )


class TextPiece(Schema):
    """A piece of a text."""

    text = fields.String(required=True)
    is_match = fields.Boolean(
        required=True, metadata={"description": "Whether the piece matches a word of the search."}
    )


class SearchResult(Schema):
    """A task that matches a search."""

    task = fields.Nested(TASK.output, required=True)
    rank = fields.Float(
        required=True,
        metadata={
            "minimum": 0,
            "maximum": 1,
            "description": "How well the task matches. 1 is the best.",
        },
    )
    title = fields.List(
        fields.Nested(TextPiece),
        required=True,
        metadata={"description": "The whole title, in pieces."},
    )
    snippet = fields.List(
        fields.Nested(TextPiece),
        required=True,
        allow_none=True,
        metadata={
            "description": "The parts of the description around the matches, in pieces; without a"
            " match, its beginning. Null without a description."
        },
    )


class SearchPage(PageShape):
    """A page of tasks that match a search."""

    results = fields.List(fields.Nested(SearchResult), required=True)
    total = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Always null: matches are not counted."},
    )
