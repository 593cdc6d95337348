"""Deletion of an account or a workspace: closed at once, its rows deleted in small steps.

A closed account has no email, no password and no live session. Its rows are deleted right away as
far as they are few, and by `flask purge` otherwise. The same holds for a workspace.
"""

from __future__ import annotations

from functools import cache
from time import monotonic
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    not_,
    select,
    true,
)

from taskapi.auth import memberships
from taskapi.auth import queries as statements
from taskapi.auth.emails import queries as emails
from taskapi.auth.oidc.queries import remove_identities
from taskapi.db import database
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.extensions import Model, table_of
from taskapi.workspaces.models import Workspace

_workspaces = table_of(Workspace)
_workspace_id = bindparam("workspace_id", type_=BigInteger)

_DELETION_SECONDS = 25.0
"""For the rows of a workspace that the small steps have left, such as deep subtasks."""

_deleted_workspaces = Statement(
    select(_workspaces.c.id).where(_workspaces.c.deleted_at.is_not(None))
)
_deleted_workspaces_of = Statement(
    select(_workspaces.c.id).where(
        _workspaces.c.owner_id == bindparam("user_id", type_=BigInteger),
        _workspaces.c.deleted_at.is_not(None),
    )
)
_deleted_workspace = (
    delete(_workspaces)
    .where(_workspaces.c.id == _workspace_id, _workspaces.c.deleted_at.is_not(None))
    .returning(_workspaces.c.id)
)
_delete_workspace = Statement(_deleted_workspace, writes=True)
_delete_large_workspace = Statement(_deleted_workspace, writes=True, seconds=_DELETION_SECONDS)


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


def delete_rows(user_id: int, seconds: float = float("inf")) -> bool:
    """Delete a closed account, its memberships and its rows, a thousand at a time.

    Args:
        seconds: after which the rest is left for later.

    Returns:
        Whether nothing is left.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    until = monotonic() + seconds
    memberships.end_memberships(user_id)
    deleted = database.rows(_deleted_workspaces_of, user_id=user_id)
    if not all(_delete_workspace_until(one, until) for (one,) in deleted):
        return False
    if not _delete_content(user_id, until):
        return False
    is_command = seconds == float("inf")
    last = statements.delete_large_account if is_command else statements.delete_account
    database.rows(last, user_id=user_id)
    return True


def delete_workspace_rows(workspace_id: int, seconds: float = float("inf")) -> bool:
    """Delete a deleted workspace and its rows, as `delete_rows`."""
    return _delete_workspace_until(workspace_id, monotonic() + seconds)


def delete_deleted_workspaces() -> int:
    """Delete the rows of all deleted workspaces, and return the number of these.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    deleted = database.rows(_deleted_workspaces)
    for (workspace_id,) in deleted:
        delete_workspace_rows(workspace_id)
    return len(deleted)


def _delete_workspace_until(workspace_id: int, until: float) -> bool:
    if not _delete_content(workspace_id, until):
        return False
    last = _delete_large_workspace if until == float("inf") else _delete_workspace
    database.rows(last, workspace_id=workspace_id)
    return True


def _delete_content(workspace_id: int, until: float) -> bool:
    for purge in _purges():
        deleted = 1
        while deleted:
            # Rows below others go in the first pass, those above in the next.
            deleted, after = purge.step(workspace_id=workspace_id)
            while after:
                if monotonic() > until:
                    return False
                more, after = purge.step(after, workspace_id=workspace_id)
                deleted += more
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
