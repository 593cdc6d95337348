"""Reads pages from a replica that is up to date.

The primary returns the workspace's current version. A page from the replica is used only if it has
that version or a later one. See docs/decisions/0010-replicas.md.
"""

from __future__ import annotations

from typing import Any

from taskapi.db import database
from taskapi.db.pages import is_known
from taskapi.db.statement import Statement
from taskapi.runtime.connection import Row


def page_rows(statement: Statement, *, known: list[int] | None, **parameters: Any) -> list[Row]:
    """The rows of a page (`ContentTable.page`), from a replica if one is up to date.

    The primary is queried first, with null for `known`. It then returns whether the session is
    active, the version and the total, and reads no row of the list.

    Args:
        known: versions of the list that the client has; None stands for all.
    """
    if known is None or not database.has_replica():
        return database.rows(statement, known=known, **parameters)
    now = database.rows(statement, known=None, **parameters)
    if not now or is_known(now[0][0], known):
        return now
    found = database.replica_rows(statement, known=known, **parameters)
    # Without rows, the session does not exist there yet, or has ended meanwhile.
    if found and found[0][0] >= now[0][0]:
        return found
    return database.rows(statement, known=known, **parameters)
