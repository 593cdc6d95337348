"""The use case of search. The first argument is the caller; the result is a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter, sleep
from typing import Any, NamedTuple, cast

from taskapi.db.listing import Page, read_page
from taskapi.db.pages import page_request
from taskapi.identity import Caller
from taskapi.tasks.filters.service import resolve
from taskapi.tasks.finding import read_filtered
from taskapi.tasks.models import Task
from taskapi.tasks.search.queries import BEST_FIRST, SORTS, FoundTask, search_page
from taskapi.tasks.snippets import Piece, mark, snippet
from taskapi.tasks.words import Search, parse_search, tsquery

_LONG_SECONDS = 0.001
"""To highlight 1,000 characters takes a quarter of it."""

_PAUSE = 6
"""The pause after such a text, as a multiple of its time, since an account has several searches."""


class Result(NamedTuple):
    """A task that matches a search, with its highlighted texts."""

    task: Task
    rank: float
    title: list[Piece]
    snippet: list[Piece] | None


def _highlighted(rows: Sequence[Any], search: Search) -> list[Result]:
    """The results. After a text that takes long, the worker has time for other requests."""
    results = []
    for row in rows:
        started = perf_counter()
        title, description = mark(row.title, search), snippet(row.description, search)
        results.append(Result(row, row.rank, title, description))
        seconds = perf_counter() - started
        sleep(seconds * _PAUSE if seconds > _LONG_SECONDS else 0)
    return results


class _FoundTasks:
    """Makes the rows of a search."""

    def row(self, values: Sequence[Any]) -> Task:
        return cast("Task", FoundTask._make(values))


def search_tasks(
    caller: Caller, query: Mapping[str, Any], *, known: list[int] | None
) -> Page[Result]:
    """A page of the tasks that contain the words of a text, the best matches first.

    Args:
        query: the validated text, limit, cursor and `FilterParameters`.
        known: versions of the list that the client has; None stands for all.

    Raises:
        InvalidInput: the cursor belongs to another list, a filter is invalid, or what it references
            does not exist.
        SessionEnded: the caller's session has ended.
    """
    request = page_request({**query, "sort": BEST_FIRST}, SORTS)
    found = resolve(caller, query)
    assert found, "the text is a filter"
    statement = search_page(
        request.ordering, is_completed=query.get("is_completed"), shape=found.shape
    )
    search = parse_search(query["text"])
    terms = [
        (
            tsquery(caller.workspace_id, word._replace(is_prefix=False)),
            tsquery(caller.workspace_id, word),
        )
        for word in search.words
    ]
    read = partial(
        read_page,
        caller,
        _FoundTasks(),
        statement,
        request,
        exact=[exact for exact, _ in terms],
        prefix=[prefix for _, prefix in terms],
    )
    page = read_filtered(found, read, known=known)
    rows: list[Any] | None = page.rows
    return Page(
        rows and _highlighted(rows, search),
        page.total,
        page.next_cursor,
        page.version,
        lambda result: page.cursor_after(result.task),
    )
