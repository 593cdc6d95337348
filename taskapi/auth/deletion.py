"""Deletion of an account: closed at once, its rows deleted in small steps.

A closed account has no email, no password and no live session. Its rows are deleted right away as
far as they are few, and by `flask purge` otherwise.
"""

from __future__ import annotations

from functools import cache
from time import monotonic
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Table, and_, bindparam, exists, not_, true

from taskapi.auth import queries as statements
from taskapi.auth.emails import queries as emails
from taskapi.auth.oidc.queries import remove_identities
from taskapi.db import database
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.extensions import Model

_workspace_id = bindparam("workspace_id", type_=BigInteger)


def close(statement: Statement, **parameters: Any) -> bool:
    """Close an account, end its sessions and remove its identities, in one transaction.

    Args:
        statement: closes it and returns its id, with these parameters.

    Returns:
        Whether there was such an account.

    Raises:
        Unavailable, OutcomeUnknown: as `database.transaction`.
    """
    with database.transaction():
        closed = database.row(statement, **parameters)
        if closed:
            # A later statement also sees a session that was opened while this one waited.
            database.rows(statements.revoke_all, user_id=closed["id"])
            # Its earlier emails are free at once too.
            database.rows(emails.delete_changes_since, user_id=closed["id"], change_id=0)
            database.rows(remove_identities, user_id=closed["id"])
    return closed is not None


def delete_rows(user_id: int, seconds: float = float("inf")) -> bool:
    """Delete a closed account and its rows, a thousand at a time.

    Args:
        seconds: after which the rest is left for later.

    Returns:
        Whether nothing is left.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    until = monotonic() + seconds
    for purge in _purges():
        deleted = 1
        while deleted:
            # Rows below others go in the first pass, those above in the next.
            deleted, after = purge.step(workspace_id=user_id)
            while after:
                if monotonic() > until:
                    return False
                more, after = purge.step(after, workspace_id=user_id)
                deleted += more
    is_command = seconds == float("inf")
    last = statements.delete_large_account if is_command else statements.delete_account
    database.rows(last, user_id=user_id)
    return True


def delete_closed_accounts() -> int:
    """Delete all closed accounts and return their number.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    closed = database.rows(statements.closed_accounts)
    for (user_id,) in closed:
        delete_rows(user_id)
    return len(closed)


@cache
def _purges() -> list[Purge]:
    """For each table of content, those that reference others first."""
    tables = reversed(Model.metadata.sorted_tables)
    return [
        Purge(table, _is_unreferenced(table), table.c.workspace_id == _workspace_id)
        for table in tables
        if "workspace_id" in table.c
    ]


def _is_unreferenced(table: Table) -> ColumnElement[bool]:
    """True in SQL for rows that no other row of the same table references."""
    other = table.alias("other")
    references = [key for key in table.foreign_key_constraints if key.referred_table is table]
    found = [
        exists().where(
            and_(*(other.c[element.parent.name] == element.column for element in key.elements))
        )
        for key in references
    ]
    return and_(true(), *(not_(one) for one in found))
