"""Pagination: the query parameters and response fields that all lists have."""

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
        metadata={"description": "The maximum number of results on a page."},
    )
    cursor = Text(
        least=1,
        most=2_200,
        metadata={"description": "The `next_cursor` of the previous page."},
    )


class PageFields(Schema):
    """The fields of a page in addition to its rows."""

    total = fields.Integer(
        required=True,
        metadata={"minimum": 0, "description": "The number of matches on all pages."},
    )
    next_cursor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The `cursor` of the next page. Null on the last page."},
    )


def sort_field(names: Iterable[str], *, default: str) -> Choice:
    """The `sort` parameter of a list that can be sorted by these fields, in either direction."""
    words = [sign + name for name in names for sign in ("", "-")]
    return Choice(
        *words,
        load_default=default,
        metadata={
            "description": "The field to sort by. A minus sign means descending order.",
            "x-enum-varnames": [word.replace("-", "descending_").upper() for word in words],
        },
    )
