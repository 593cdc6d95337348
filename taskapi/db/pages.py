"""Pages of any list at the same cost a page: keyset, never OFFSET.

A cursor says where the last page ended: the sort, the value of its key and the row's id. It is
opaque to clients; to tamper with it gains nothing, since every statement carries the caller.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    String,
    Text,
    bindparam,
    collate,
    func,
    true,
    tuple_,
)
from sqlalchemy.types import TypeEngine

from taskapi.identity import MAX_ID
from taskapi.problems import InvalidInput

MAX_LIMIT = 1_000

_ASCII_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@dataclass(frozen=True, eq=False)
class Sort:
    """An order of a list; ties break by id, so that each row has one place.

    Args:
        key: what is compared before the id, of a row; None to sort by id alone.
        value_of: the key's value in a row, as JSON carries it.
        load: the value back from JSON; raises ValueError or TypeError when it is none.
    """

    key: Callable[[FromClause], ColumnElement[Any]] | None = None
    type: TypeEngine[Any] = String()
    value_of: Callable[[Mapping[str, Any]], Any] = lambda row: None
    load: Callable[[Any], Any] = lambda value: value

    def columns(self, rows: FromClause) -> list[ColumnElement[Any]]:
        """What rows are compared by."""
        return [rows.c.id] if self.key is None else [self.key(rows), rows.c.id]


IN_ORDER_OF_CREATION = Sort()
"""Ids rise in the order of creation, so the key alone gives it."""

NEWEST_FIRST = "-created_at"


class Reading(NamedTuple):
    """How a page is read: in which order, and whether it goes on from a place."""

    sort: Sort
    is_descending: bool = False
    resumes: bool = False

    def order(self, rows: FromClause) -> list[ColumnElement[Any]]:
        """The ORDER BY of the page."""
        columns = self.sort.columns(rows)
        return [column.desc() if self.is_descending else column.asc() for column in columns]

    def is_behind(self, rows: FromClause) -> ColumnElement[bool]:
        """True in SQL for rows behind the place of `Page.parameters`; without one, for all."""
        if not self.resumes:
            return true()
        here = tuple_(*self.sort.columns(rows))
        place = [bindparam("after_id", type_=BigInteger)]
        if self.sort.key is not None:
            place.insert(0, bindparam("after_key", type_=self.sort.type))
        there = tuple_(*place)
        return here < there if self.is_descending else here > there


class Place(NamedTuple):
    """The last row of a page: the value of the sort's key, and the id."""

    key: Any
    id: int


@dataclass(frozen=True)
class Page:
    """Which part of a list is asked for."""

    limit: int
    order: str
    """The sort's name, with a minus before it where it runs from the greatest to the least."""

    sort: Sort
    after: Place | None

    @property
    def reading(self) -> Reading:
        return Reading(self.sort, self.order.startswith("-"), self.after is not None)

    def parameters(self) -> dict[str, Any]:
        """The bind parameters of a page's statement; one row more tells of a next page."""
        place = {"after_key": self.after.key, "after_id": self.after.id} if self.after else {}
        return {"limit": self.limit + 1, **place}

    def cut(self, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str | None]:
        """The page's rows, and the cursor of the next page if there is one."""
        if len(rows) <= self.limit:
            return rows, None
        last = rows[self.limit - 1]
        place = [self.order, self.sort.value_of(last), last["id"]]
        cursor = base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")
        return rows[: self.limit], cursor


def page_of(query: Mapping[str, Any], sorts: Mapping[str, Sort]) -> Page:
    """The page that a loaded `PageQuery` asks for.

    Raises:
        InvalidInput: the cursor is not one of this list in this order.
    """
    order = query.get("sort", NEWEST_FIRST)
    sort = sorts[order.lstrip("-")]
    cursor = query.get("cursor")
    return Page(query["limit"], order, sort, _place(cursor, order, sort) if cursor else None)


def is_known(version: int, known: list[int] | None) -> bool:
    """Whether a version is among those that the client has."""
    return known is None or version in known


def instant(value: Any) -> datetime:
    """A sort key that is an instant, from a cursor."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("an instant has an offset")
    return moment


def by_text(name: str) -> Sort:
    """The order of a column of text: by code points, ASCII case aside.

    It is the same on every server, whatever its locale.
    """
    return Sort(
        key=lambda rows: func.lower(collate(rows.c[name], "C")),
        type=Text(),
        value_of=lambda row: row[name].translate(_ASCII_LOWER),
        load=_text,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a text that PostgreSQL holds")
    return value


def _place(cursor: str, order: str, sort: Sort) -> Place:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        made_for, key, row_id = orjson.loads(raw)
        if made_for == order and type(row_id) is int and 0 < row_id <= MAX_ID:
            return Place(None if sort.key is None else sort.load(key), row_id)
    except (binascii.Error, ValueError, TypeError):
        pass
    message = "Must be the next_cursor of a page in this order."
    raise InvalidInput.at("cursor", message, "invalid_cursor")
