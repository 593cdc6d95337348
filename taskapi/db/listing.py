"""A page of an account's rows, read and cut."""

from __future__ import annotations

from typing import Any, NamedTuple

from taskapi.db.pages import Page, is_known
from taskapi.db.replicas import page_rows
from taskapi.db.statement import Statement
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.problems import TokenInvalid


class Listed(NamedTuple):
    """A page.

    `rows` is None when the client has this version of the list already; `total` where it would have
    to be counted; `version` where the account's does not say what the list is, since time does too.
    """

    rows: list[dict[str, Any]] | None
    total: int | None
    next_cursor: str | None
    version: int | None


class Missing(Exception):
    """A condition names what the caller does not have."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def listed(
    caller: Caller,
    statement: Statement,
    page: Page,
    *,
    known: list[int] | None,
    **parameters: Any,
) -> Listed:
    """What a statement of `OwnedTable.page` finds.

    Args:
        known: versions of the list that the client has; None for whichever there is.
        parameters: those of the statement's conditions.

    Raises:
        TokenInvalid: the caller's session is over.
        Missing: one of the statement's conditions names what is not there.
    """
    asked = {**page.parameters(), **scope(caller), **parameters}
    rows = page_rows(statement, known=known, **asked)
    if not rows:
        raise TokenInvalid
    first = statement.columns.index("id")
    version, total, *missing = rows[0][:first]
    if any(missing):
        raise Missing(missing[0])
    if is_known(version, known):
        return Listed(None, total, None, version)
    names = statement.columns[first:]
    found = [dict(zip(names, row[first:], strict=True)) for row in rows if row[first] is not None]
    shown, next_cursor = page.cut(found)
    return Listed(shown, total, next_cursor, version)
