"""Reads a list page by page, and fails if a wrong cursor makes it endless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

MOST = 200
"""More pages than any test has."""

Page = dict[str, Any]


def pages(read: Callable[[dict[str, Any]], Page], **query: Any) -> Iterator[Page]:
    """Each page of a list, from the first to the last.

    Args:
        read: returns the page for a query.
    """
    given: set[str] = set()
    while True:
        page = read(dict(query))
        yield page
        cursor = page["next_cursor"]
        if cursor is None:
            return
        assert cursor not in given, "the pages go in a circle"
        assert len(given) < MOST, "the pages do not end"
        given.add(cursor)
        query["cursor"] = cursor
