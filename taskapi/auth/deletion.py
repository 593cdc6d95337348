"""Deletion of an account: closed at once, its rows deleted in small steps.

A closed account has no email, no password and no live session. Its rows are deleted right away as
far as they are few, and by `flask purge` otherwise.
"""

from __future__ import annotations

from typing import Any

from taskapi.auth import memberships
from taskapi.auth import queries as statements
from taskapi.auth.emails import queries as emails
from taskapi.auth.oidc.queries import remove_identities
from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.db.workspace_deletion import (
    FOREVER,
    delete_content,
    delete_workspace,
    deleted_workspaces_of,
)


def close(statement: Statement, **parameters: Any) -> bool:
    """Close an account, and end its sessions, identities and invitations, in one transaction.

    Args:
        statement: closes it and returns its id, with these parameters.

    Returns:
        Whether there was such an account.

    Raises:
        OwnsWorkspace: it owns a shared workspace.
        Unavailable, OutcomeUnknown: as `database.transaction`.
    """
    with database.transaction():
        closed = database.row(statement, **parameters)
        if closed:
            memberships.require_no_workspace(closed["id"])
            # A later statement also sees a session that was opened while this one waited.
            database.rows(statements.revoke_all, user_id=closed["id"])
            # Its earlier emails are free at once too.
            database.rows(emails.delete_changes_since, user_id=closed["id"], change_id=0)
            database.rows(remove_identities, user_id=closed["id"])
            memberships.revoke_all_sent_invitations(closed["id"])
    return closed is not None


def delete_rows(user_id: int, until: float = FOREVER) -> bool:
    """Delete a closed account, its memberships and its rows, a thousand at a time.

    Args:
        until: the value of `time.monotonic` from which on the rest is left for later.

    Returns:
        Whether nothing is left.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    memberships.end_memberships(user_id)
    if not all(delete_workspace(one, until) for one in deleted_workspaces_of(user_id)):
        return False
    if not delete_content(user_id, until):
        return False
    last = statements.delete_large_account if until == FOREVER else statements.delete_account
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
