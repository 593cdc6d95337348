"""A page of an account's rows, read and cut."""

from __future__ import annotations

from typing import Any, NamedTuple

from taskapi.core.errors import TokenInvalid
from taskapi.core.identity import Caller
from taskapi.core.ownership import scope
from taskapi.core.pagination import Page
from taskapi.core.preconditions import is_known
from taskapi.core.replicas import page_rows
from taskapi.core.statement import Statement


class Listed(NamedTuple):
    """A page.

    `rows` is None when the client has this version of the list already; `total` where it would have
    to be counted.
    """

    rows: list[dict[str, Any]] | None
    total: int | None
    next_cursor: str | None
    version: int


def listed(
    caller: Caller,
    statement: Statement,
    page: Page,
    *,
    known: list[int] | None,
    **parameters: Any,
) -> Listed:
    """What a statement of `ownership.owned_page` finds.

    Args:
        known: versions of the list that the client has; None for whichever there is.
        parameters: those of the statement's conditions.

    Raises:
        TokenInvalid: the caller's session is over.
    """
    asked = {**page.parameters(), **scope(caller), **parameters}
    rows = page_rows(statement, known=known, **asked)
    if not rows:
        raise TokenInvalid
    version, total = rows[0][:2]
    if is_known(version, known):
        return Listed(None, total, None, version)
    names = statement.columns[2:]
    found = [dict(zip(names, row[2:], strict=True)) for row in rows if row[2] is not None]
    shown, next_cursor = page.cut(found)
    return Listed(shown, total, next_cursor, version)
