"""Use cases of search: each takes the caller first and gives a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from taskapi.db.listing import Page
from taskapi.db.pages import page_request
from taskapi.identity import Caller
from taskapi.tasks.filters.service import resolve
from taskapi.tasks.finding import read_filtered_page
from taskapi.tasks.models import Task
from taskapi.tasks.search.queries import BEST_FIRST, SORTS, FoundTask, search_page
from taskapi.tasks.snippets import Piece, mark, snippet
from taskapi.tasks.words import parse_search, tsquery


class Result(NamedTuple):
    """A task that matches a search, with the pieces of its texts that match."""

    task: Task
    rank: float
    title: list[Piece]
    snippet: list[Piece] | None


class _FoundTasks:
    """Makes the rows of a search."""

    def row(self, values: Sequence[Any]) -> Task:
        return cast("Task", FoundTask._make(values))


def search_tasks(
    caller: Caller, query: Mapping[str, Any], *, known: list[int] | None
) -> Page[Result]:
    """A page of the workspace's tasks that have the words of a text, the best first.

    Args:
        query: text, limit, cursor and the parameters of `FindingQuery`, checked.
        known: versions of the list that the client has; None stands for all.

    Raises:
        InvalidInput: the cursor is not one of this search, a filter is invalid, or what it
            references does not exist.
        TokenInvalid: the caller's session has ended.
    """
    request = page_request({**query, "sort": BEST_FIRST}, SORTS)
    found = resolve(caller, query)
    assert found, "the text is a part of it"
    statement = search_page(
        request.ordering, is_completed=query.get("is_completed"), shape=found.shape
    )
    search = parse_search(query["text"])
    terms = [
        (
            tsquery(caller.workspace_id, word.text, is_prefix=False),
            tsquery(caller.workspace_id, *word),
        )
        for word in search.words
    ]
    page = read_filtered_page(
        caller,
        _FoundTasks(),
        statement,
        request,
        found,
        known=known,
        exact=[exact for exact, _ in terms],
        prefix=[prefix for _, prefix in terms],
    )
    rows: list[Any] | None = page.rows
    results = rows and [
        Result(row, row.rank, mark(row.title, search), snippet(row.description, search))
        for row in rows
    ]
    return Page(
        results if rows else rows,
        page.total,
        page.next_cursor,
        page.version,
        lambda result: page.cursor_after(result.task),
    )
