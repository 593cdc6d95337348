"""Reads a page of the caller's live sessions, or of the valid personal access tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from taskapi.auth.queries import SESSION_SORTS
from taskapi.db import database
from taskapi.db.pages import Ordering, page_request
from taskapi.db.statement import Statement
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.problems import SessionEnded


class LivePage(NamedTuple):
    """A page, with the number of rows on all pages."""

    rows: list[Any]
    total: int
    next_cursor: str | None


def read_live_page(
    caller: Caller,
    query: Mapping[str, Any],
    statement_of: Callable[[Ordering], Statement],
    row_class: Any,
) -> LivePage:
    """Read a page, newest first.

    Args:
        query: the validated limit and cursor.
        statement_of: returns the statement for an order: see `auth.queries.live_page`.
        row_class: the named tuple of a row.

    Raises:
        InvalidInput: the cursor is invalid.
        SessionEnded: the caller's session has ended.
    """
    request = page_request(query, SESSION_SORTS)
    found = database.rows(statement_of(request.ordering), **request.parameters(), **scope(caller))
    if not found:
        raise SessionEnded
    rows = [row_class._make(row[1:]) for row in found if row[1] is not None]
    page, next_cursor = request.split(rows)
    return LivePage(page, found[0][0], next_cursor)
