"""Keyset pagination: each page of a list costs the same.

A cursor contains the end of the previous page: the sort, the value of its key and the row's ID. It
is opaque to clients, but needs no protection, since every statement names the workspace.
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
"""Pages with this limit do not exceed it, since the largest row has about 64 KB of JSON."""

_ASCII_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def ascii_lower(text: str) -> str:
    """A text in the form that comparisons without ASCII case use."""
    return text.translate(_ASCII_LOWER)


@dataclass(frozen=True, eq=False)
class Missing:
    """Rows without a value of the sort's key, which come last.

    Args:
        condition: the SQL condition for such a row.
        key: the SQL value that replaces the missing one; it is greater than any other.
    """

    condition: Callable[[FromClause], ColumnElement[bool]]
    key: ColumnElement[Any]


@dataclass(frozen=True, eq=False)
class Sort:
    """An order of a list. Ties are broken by ID.

    Args:
        key: the SQL expression to sort by; None to sort only by ID.
        type: the SQL type of the key.
        value_of: the key's value in a row, for JSON.
        load: the value from JSON; raises ValueError or TypeError if it is invalid.
        missing: rows without a key, if the index does not contain them.
        is_indexed: whether an index has this order for the rows of each state.
    """

    key: Callable[[FromClause], ColumnElement[Any]] | None = None
    type: TypeEngine[Any] = String()
    value_of: Callable[[Any], Any] = lambda row: None
    load: Callable[[Any], Any] = lambda value: value
    missing: Missing | None = None
    is_indexed: bool = False

    def columns(self, rows: FromClause) -> list[ColumnElement[Any]]:
        """The expressions to sort by."""
        if self.key is None:
            return [rows.c.id]
        key = self.key(rows)
        return [func.coalesce(key, self.missing.key) if self.missing else key, rows.c.id]


BY_CREATION = Sort()
"""By ID, since later rows have greater IDs."""

NEWEST_FIRST = "-created_at"

_AFTER_ID = bindparam("after_id", type_=BigInteger)


class Ordering(NamedTuple):
    """The order of a page, and whether it begins after a cursor."""

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
        """The conditions and the ORDER BY of each part of the page that an index has in order."""
        missing = self.sort.missing
        if missing is None or self.sort.key is None:
            return [([self._is_behind(self.sort.columns(rows))], self.order(rows))]
        # Without coalesce, like the index.
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
        """As `_is_behind`, as a comparison of the ID only, which can use an index."""
        if not self.resumes:
            return true()
        is_cursor_among_them = self._after_key() >= missing.key
        # In descending order, all rows without a key precede a cursor among rows with a key.
        beyond = literal_column("0", BigInteger)
        after_id = case((is_cursor_among_them, _AFTER_ID), else_=beyond)
        return rows.c.id < after_id if self.is_descending else rows.c.id > after_id


class Cursor(NamedTuple):
    """The last row of a page: the value of the sort's key, and the ID."""

    key: Any
    id: int


@dataclass(frozen=True)
class PageRequest:
    """A requested page."""

    limit: int
    order: str
    """The sort's name, with a minus sign for descending order."""

    sort: Sort
    after: Cursor | None

    @property
    def ordering(self) -> Ordering:
        is_descending, resumes = self.order.startswith("-"), self.after is not None
        return Ordering(self.sort, is_descending, resumes, self.limit > SHORT_LIMIT)

    def parameters(self) -> dict[str, Any]:
        """The parameters of the page's statement. An additional row indicates a next page."""
        after = {"after_key": self.after.key, "after_id": self.after.id} if self.after else {}
        return {"limit": self.limit + 1, **after}

    def split(self, rows: list[Any]) -> tuple[list[Any], str | None]:
        """The page's rows, and the cursor of the next page if there is one."""
        if len(rows) <= self.limit:
            return rows, None
        return rows[: self.limit], self.cursor_after(rows[self.limit - 1])

    def cursor_after(self, row: Any) -> str:
        """The cursor of a page that begins after a row."""
        after = [self.order, self.sort.value_of(row), row.id]
        return base64.urlsafe_b64encode(orjson.dumps(after)).decode().rstrip("=")


def page_request(query: Mapping[str, Any], sorts: Mapping[str, Sort]) -> PageRequest:
    """The page that a loaded `PageQuery` requests.

    Raises:
        InvalidInput: the cursor belongs to another list or order.
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
    """An instant from a cursor."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("an instant has an offset")
    return moment


def by_text(name: str) -> Sort:
    """The order by a text column: by code points, ignoring ASCII case, for any locale."""
    return Sort(
        key=lambda rows: func.lower(collate(rows.c[name], "C")),
        type=Text(),
        value_of=lambda row: ascii_lower(getattr(row, name)),
        load=text_from_cursor,
    )


def text_from_cursor(value: Any) -> str:
    """A text from a cursor."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a text that PostgreSQL can store")
    return value


def _cursor(cursor: str, order: str, sort: Sort) -> Cursor:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        made_for, key, row_id = orjson.loads(raw)
        if made_for == order and type(row_id) is int and 0 < row_id <= MAX_ID:
            return Cursor(None if sort.key is None else sort.load(key), row_id)
    except (binascii.Error, ValueError, TypeError):
        pass
    message = "Must be the next_cursor of a page of this list in this order."
    raise InvalidInput.at("cursor", message, "invalid_cursor")
