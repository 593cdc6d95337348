"""Pages of a list at the same cost a page: keyset pagination, never OFFSET.

A cursor says where the last page ended: the sort, the value of its key and the row's id. It is
opaque to clients; to change it gains nothing, since every statement names the workspace.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
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
    case,
    collate,
    func,
    literal_column,
    true,
    tuple_,
)
from sqlalchemy.types import TypeEngine

from taskapi.identity import MAX_ID
from taskapi.problems import InvalidInput

MAX_LIMIT = 1_000

MAX_PAGE_BYTES = 4_000_000
"""A page ends before its JSON exceeds this."""

SHORT_LIMIT = 60
"""Pages of at most so many of the largest rows, each about 64 KB of JSON, do not exceed it."""

_ASCII_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def ascii_lower(text: str) -> str:
    """A text as it is compared where ASCII case does not count."""
    return text.translate(_ASCII_LOWER)


@dataclass(frozen=True, eq=False)
class Missing:
    """The rows of a list that have no value of the sort's key, which come last.

    Args:
        condition: true in SQL for a row without one.
        key: what stands for the missing value, as SQL; greater than any other.
    """

    condition: Callable[[FromClause], ColumnElement[bool]]
    key: ColumnElement[Any]


@dataclass(frozen=True, eq=False)
class Sort:
    """An order of a list; ties break by id, so that the order is total.

    Args:
        key: what is compared before the id, of a row; None to sort by id alone.
        type: the key's type in SQL.
        value_of: the key's value in a row, as JSON carries it.
        load: the value back from JSON; raises ValueError or TypeError when it is none.
        missing: rows without a key, where an index has only the others.
        is_indexed: whether an index gives this order within rows of one state.
    """

    key: Callable[[FromClause], ColumnElement[Any]] | None = None
    type: TypeEngine[Any] = String()
    value_of: Callable[[Any], Any] = lambda row: None
    load: Callable[[Any], Any] = lambda value: value
    missing: Missing | None = None
    is_indexed: bool = False

    def columns(self, rows: FromClause) -> list[ColumnElement[Any]]:
        """What rows are compared by."""
        if self.key is None:
            return [rows.c.id]
        key = self.key(rows)
        return [func.coalesce(key, self.missing.key) if self.missing else key, rows.c.id]


BY_CREATION = Sort()
"""Ids rise in the order of creation, so the key alone gives it."""

NEWEST_FIRST = "-created_at"

_AFTER_ID = bindparam("after_id", type_=BigInteger)


class Ordering(NamedTuple):
    """In which order a page is read, and whether it begins behind a cursor."""

    sort: Sort
    is_descending: bool = False
    resumes: bool = False
    is_long: bool = False
    """Whether the page may exceed `MAX_PAGE_BYTES`."""

    def order(self, rows: FromClause) -> list[ColumnElement[Any]]:
        """The ORDER BY of the page."""
        return self._directed(self.sort.columns(rows))

    def runs(
        self, rows: FromClause
    ) -> list[tuple[list[ColumnElement[bool]], list[ColumnElement[Any]]]]:
        """The conditions and the ORDER BY of each part that an index gives in order.

        All parts together have the page's rows.
        """
        missing = self.sort.missing
        if missing is None or self.sort.key is None:
            return [([self._is_behind(self.sort.columns(rows))], self.order(rows))]
        # The key alone, as the index has it.
        columns = [self.sort.key(rows), rows.c.id]
        return [
            ([~missing.condition(rows), self._is_behind(columns)], self._directed(columns)),
            (
                [missing.condition(rows), self._is_behind_among_missing(rows, missing)],
                self._directed([rows.c.id]),
            ),
        ]

    def _directed(self, columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        return [column.desc() if self.is_descending else column.asc() for column in columns]

    def _after_key(self) -> ColumnElement[Any]:
        return bindparam("after_key", type_=self.sort.type)

    def _is_behind(self, columns: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        if not self.resumes:
            return true()
        cursor = [_AFTER_ID] if self.sort.key is None else [self._after_key(), _AFTER_ID]
        here, there = tuple_(*columns), tuple_(*cursor)
        return here < there if self.is_descending else here > there

    def _is_behind_among_missing(self, rows: FromClause, missing: Missing) -> ColumnElement[bool]:
        """As `_is_behind`, as a comparison of the id alone, which an index can begin with."""
        if not self.resumes:
            return true()
        is_cursor_among_them = self._after_key() >= missing.key
        # Descending, no cursor among rows with a key has any of the others left behind it.
        beyond = literal_column("0", BigInteger)
        after_id = case((is_cursor_among_them, _AFTER_ID), else_=beyond)
        return rows.c.id < after_id if self.is_descending else rows.c.id > after_id


class Cursor(NamedTuple):
    """The last row of a page: the value of the sort's key, and the id."""

    key: Any
    id: int


@dataclass(frozen=True)
class PageRequest:
    """Which part of a list is requested."""

    limit: int
    order: str
    """The sort's name, after a minus where it is descending."""

    sort: Sort
    after: Cursor | None

    @property
    def ordering(self) -> Ordering:
        is_descending, resumes = self.order.startswith("-"), self.after is not None
        return Ordering(self.sort, is_descending, resumes, self.limit > SHORT_LIMIT)

    def parameters(self) -> dict[str, Any]:
        """The bind parameters of a page's statement; one row more tells of a next page."""
        after = {"after_key": self.after.key, "after_id": self.after.id} if self.after else {}
        return {"limit": self.limit + 1, **after}

    def split(self, rows: list[Any]) -> tuple[list[Any], str | None]:
        """The page's rows, and the cursor of the next page if there is one."""
        if len(rows) <= self.limit:
            return rows, None
        return rows[: self.limit], self.cursor_after(rows[self.limit - 1])

    def cursor_after(self, row: Any) -> str:
        """The cursor of a page that begins behind a row."""
        after = [self.order, self.sort.value_of(row), row.id]
        return base64.urlsafe_b64encode(orjson.dumps(after)).decode().rstrip("=")


def page_request(query: Mapping[str, Any], sorts: Mapping[str, Sort]) -> PageRequest:
    """The page that a loaded `PageQuery` requests.

    Raises:
        InvalidInput: the cursor is not one of this list in this order.
    """
    order = query.get("sort", NEWEST_FIRST)
    sort = sorts[order.lstrip("-")]
    cursor = query.get("cursor")
    after = _cursor(cursor, order, sort) if cursor else None
    return PageRequest(query["limit"], order, sort, after)


def is_known(version: int, known: list[int] | None) -> bool:
    """Whether a version is among those that the client has; None stands for all."""
    return known is None or version in known


def instant(value: Any) -> datetime:
    """A sort key that is an instant, from a cursor."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("an instant has an offset")
    return moment


def by_text(name: str) -> Sort:
    """The order of a column of text: by code points, ignoring ASCII case.

    It is the same on every server, whatever its locale.
    """
    return Sort(
        key=lambda rows: func.lower(collate(rows.c[name], "C")),
        type=Text(),
        value_of=lambda row: ascii_lower(getattr(row, name)),
        load=_text,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a text that PostgreSQL holds")
    return value


def _cursor(cursor: str, order: str, sort: Sort) -> Cursor:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        made_for, key, row_id = orjson.loads(raw)
        if made_for == order and type(row_id) is int and 0 < row_id <= MAX_ID:
            return Cursor(None if sort.key is None else sort.load(key), row_id)
    except (binascii.Error, ValueError, TypeError):
        pass
    message = "Must be the next_cursor of a page in this order."
    raise InvalidInput.at("cursor", message, "invalid_cursor")
