"""Use cases that return pages of tasks. The first argument is the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from taskapi.db.listing import Page, ReferenceNotFound, read_page
from taskapi.db.pages import page_request
from taskapi.identity import Caller
from taskapi.problems import StatementTimeout
from taskapi.tasks.filters.service import ResolvedFilter, resolve
from taskapi.tasks.lists.service import inbox_of, require_list
from taskapi.tasks.models import Task
from taskapi.tasks.orders import SORTS
from taskapi.tasks.pages import Within, filtered_page, task_page
from taskapi.tasks.queries import tasks

T = TypeVar("T")


def list_tasks(caller: Caller, query: Mapping[str, Any], *, known: list[int] | None) -> Page[Task]:
    """A page of the workspace's tasks.

    Args:
        query: the validated limit, cursor, sort, count and `FilterParameters`.
        known: versions of the list that the client has; None stands for all.

    Raises:
        InvalidInput: the cursor belongs to another list or order, a filter is invalid, or what it
            references does not exist.
        SessionEnded: the caller's session has ended.
    """
    request, list_id = page_request(query, SORTS), query.get("list_id")
    is_completed, counts = query.get("is_completed"), query.get("count", False)
    found = resolve(caller, query)
    if found:
        statement = filtered_page(
            request.ordering, is_completed=is_completed, shape=found.shape, counts=counts
        )
        read = partial(read_page, caller, tasks, statement, request)
        return read_filtered(found, read, known=known)
    within = _within(caller, list_id)
    statement = task_page(request.ordering, is_completed=is_completed, within=within, counts=counts)
    page = read_page(caller, tasks, statement, request, known=known, list_id=list_id)
    if page.rows == [] and list_id:
        require_list(caller, list_id)
    return page


def read_filtered(
    found: ResolvedFilter, read: Callable[..., Page[T]], *, known: list[int] | None
) -> Page[T]:
    """A page of the tasks that match a filter.

    Args:
        read: `read_page` for a statement with `conditions.MISSING` and the condition of the
            filter's shape.
        known: as `read_page`.

    Raises:
        InvalidInput: what the filter references does not exist, or it takes too long.
        SessionEnded: the caller's session has ended.
    """
    # The version of the workspace does not change with the time, nor with the account.
    known = [] if found.is_volatile else known
    try:
        page = read(known=known, **found.parameters)
    except ReferenceNotFound as missing:
        raise found.missing(missing.number) from None
    except StatementTimeout as timeout:
        raise found.too_costly() or timeout from None
    return page._replace(version=None) if found.is_volatile else page


def _within(caller: Caller, list_id: int | None) -> Within:
    if list_id is None:
        return Within.ALL
    return Within.INBOX if list_id == inbox_of(caller) else Within.LIST
