"""The schemas of search."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import QueryInteger
from taskapi.http.pagination import PageFields
from taskapi.tasks.filters.parameters import search_text
from taskapi.tasks.schemas import EXAMPLE as TASK_EXAMPLE
from taskapi.tasks.schemas import TASK, FilteredTasksQuery

EXAMPLE = {
    "task": TASK_EXAMPLE,
    "rank": 1.0,
    "title": [{"text": "Call the ", "is_match": False}, {"text": "bank", "is_match": True}],
    "snippet": [{"text": "About the standing order.", "is_match": False}],
}


class SearchQuery(FilteredTasksQuery):
    """Words to search for, page and filters."""

    text = search_text("The words to search for.", required=True)
    limit = QueryInteger(
        least=1,
        most=100,
        load_default=20,
        metadata={"description": "The maximum number of results on a page."},
    )


class TextPiece(Schema):
    """A substring of a text that matches the search or does not."""

    text = fields.String(required=True, metadata={"description": "The substring."})
    is_match = fields.Boolean(
        required=True, metadata={"description": "Whether it matches a word of the search."}
    )


class SearchResult(Schema):
    """A task that matches a search."""

    task = fields.Nested(TASK.output, required=True, metadata={"description": "The task."})
    rank = fields.Float(
        required=True,
        metadata={
            "minimum": 0,
            "maximum": 1,
            "description": "How well the task matches, from 0 to 1.",
        },
    )
    title = fields.List(
        fields.Nested(TextPiece),
        required=True,
        metadata={"description": "The title, split into matches and the text between them."},
    )
    snippet = fields.List(
        fields.Nested(TextPiece),
        required=True,
        allow_none=True,
        metadata={
            "description": "Excerpts of the description around its matches, or its beginning if"
            " it has none; split like the title. Null without a description."
        },
    )


class SearchPage(PageFields):
    """A page of tasks that match a search."""

    results = fields.List(
        fields.Nested(SearchResult),
        required=True,
        metadata={"description": "The matches of this page, the best first."},
    )
    total = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Always null. Matches are not counted."},
    )
