"""Pages from a replica, never of an older state than the account has.

The account's change number makes it safe: the primary says which it is now, and what a replica
gives counts only with that number or a later one. See docs/decisions/0010-replicas.md.
"""

from __future__ import annotations

from typing import Any

from taskapi.db import database
from taskapi.db.pages import is_known
from taskapi.db.statement import Statement
from taskapi.runtime.connection import Row


def page_rows(statement: Statement, *, known: list[int] | None, **parameters: Any) -> list[Row]:
    """The rows of a page (`ContentTable.page`), from a replica where one is up to date.

    The primary is asked first, with null for what is known: it then tells whether the session
    lives, and the account's version and total, and reads no row of the list.

    Args:
        known: versions of the list that the client has; None for whichever there is.
    """
    if known is None or not database.has_replica():
        return database.rows(statement, known=known, **parameters)
    now = database.rows(statement, known=None, **parameters)
    if not now or is_known(now[0][0], known):
        return now
    found = database.replica_rows(statement, known=known, **parameters)
    # None at all: there the session has not begun yet, or has ended since the primary was asked.
    if found and found[0][0] >= now[0][0]:
        return found
    return database.rows(statement, known=known, **parameters)
