"""Pagination over HTTP: the query parameters and the body that all lists share."""

from __future__ import annotations

from collections.abc import Iterable

from marshmallow import Schema, fields

from taskapi.db.pages import MAX_LIMIT
from taskapi.http.fields import Choice, QueryInteger, Text
from taskapi.http.schemas import Input


class PageQuery(Input):
    """The parameters of any list."""

    limit = QueryInteger(
        least=1,
        most=MAX_LIMIT,
        load_default=MAX_LIMIT,
        metadata={"description": "How many to answer at most."},
    )
    cursor = Text(
        least=1,
        most=2_200,
        metadata={
            "description": "Where to go on: the `next_cursor` of the page before, as it was."
        },
    )


class PageShape(Schema):
    """What each page has beside its rows."""

    total = fields.Integer(
        required=True,
        metadata={"minimum": 0, "description": "How many match, on all pages together."},
    )
    next_cursor = fields.String(
        required=True, allow_none=True, metadata={"description": "Null on the last page."}
    )


def sort_field(names: Iterable[str], *, default: str) -> Choice:
    """The `sort` parameter of a list that can be sorted by these; a minus turns one round."""
    words = [sign + name for name in names for sign in ("", "-")]
    return Choice(
        *words,
        load_default=default,
        metadata={
            "description": "The order; a minus turns it round.",
            "x-enum-varnames": [word.replace("-", "descending_").upper() for word in words],
        },
    )
