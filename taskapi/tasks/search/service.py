"""Use cases of search: each takes the caller first and answers with plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.db.listing import Listed
from taskapi.db.pages import page_of
from taskapi.identity import Caller
from taskapi.tasks.filters.service import find
from taskapi.tasks.finding import found_page_of
from taskapi.tasks.search.queries import BEST_FIRST, SORTS, parts_of, search_page


def search_tasks(caller: Caller, query: Mapping[str, Any], *, known: list[int] | None) -> Listed:
    """A page of the caller's tasks that have the words of a text, the best first.

    Args:
        query: text, limit, cursor, and what `filters` finds by, checked.
        known: versions of the list that the client has; None for whichever there is.

    Raises:
        InvalidInput: the cursor is not one of this search, a filter breaks a rule, or what is named
            is not there.
        TokenInvalid: the caller's session is over.
    """
    page = page_of({**query, "sort": BEST_FIRST}, SORTS)
    finding = find(caller, query)
    assert finding, "the text is a part of it"
    statement = search_page(
        page.reading, is_completed=query.get("is_completed"), shape=finding.shape
    )
    found = found_page_of(caller, page, finding, statement, known=known, asked=query["text"])
    rows = found.rows and [_result(row) for row in found.rows]
    return found._replace(rows=rows)


def _result(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a search as answers have it."""
    rank, title, snippet = (row.pop(n) for n in ("rank", "marked_title", "marked_description"))
    return {"task": row, "rank": rank, "title": parts_of(title), "snippet": parts_of(snippet)}
