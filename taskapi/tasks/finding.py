"""Use cases that find tasks: each takes the caller first and answers with a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.db.listing import Listed, Missing, listed
from taskapi.db.pages import Page, page_of
from taskapi.db.statement import Statement
from taskapi.identity import Caller
from taskapi.tasks.filters.service import Finding, find
from taskapi.tasks.lists.service import demand_list, inbox_of
from taskapi.tasks.orders import SORTS
from taskapi.tasks.queries import Within, found_page, task_page


def list_tasks(caller: Caller, query: Mapping[str, Any], *, known: list[int] | None) -> Listed:
    """A page of the caller's tasks.

    Args:
        query: limit, cursor, sort, and what `filters` finds by, checked.
        known: versions of the list that the client has; None for whichever there is.

    Raises:
        InvalidInput: the cursor is not one of this list in this order, a filter breaks a rule, or
            what is named is not there.
        TokenInvalid: the caller's session is over.
    """
    page, list_id = page_of(query, SORTS), query.get("list_id")
    finding = find(caller, query)
    if finding:
        statement = found_page(
            page.reading, is_completed=query.get("is_completed"), shape=finding.shape
        )
        return found_page_of(caller, page, finding, statement, known=known)
    statement = task_page(
        page.reading,
        is_completed=query.get("is_completed"),
        within=_within(caller, list_id),
    )
    found = listed(caller, statement, page, known=known, list_id=list_id)
    if found.rows == [] and list_id:
        demand_list(caller, list_id)
    return found


def found_page_of(
    caller: Caller,
    page: Page,
    finding: Finding,
    statement: Statement,
    *,
    known: list[int] | None,
    **asked: str,
) -> Listed:
    """A page of the tasks that are asked for.

    Args:
        statement: finds them, with `Finding.shape` and `conditions.MISSING`.
        asked: parameters that it has beside those of the finding.

    Raises:
        InvalidInput: what is named is not there.
        TokenInvalid: the caller's session is over.
    """
    # No version says whether what time changes is still the same.
    known = [] if finding.is_moving else known
    try:
        found = listed(caller, statement, page, known=known, **finding.parameters, **asked)
    except Missing as missing:
        raise finding.missing(missing.number) from None
    return found._replace(version=None) if finding.is_moving else found


def _within(caller: Caller, list_id: int | None) -> Within:
    if list_id is None:
        return Within.ALL
    return Within.INBOX if list_id == inbox_of(caller) else Within.LIST
