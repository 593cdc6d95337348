"""Deletes the rows of a workspace in small steps.

They are those of a deleted shared workspace, or of the personal workspace of a closed account.
"""

from __future__ import annotations

from functools import cache
from time import monotonic

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

from taskapi.db import database
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.extensions import Model, table_of
from taskapi.workspaces.models import Workspace

FOREVER = float("inf")
"""The time limit of commands, which delete everything."""

_workspaces = table_of(Workspace)
_workspace_id = bindparam("workspace_id", type_=BigInteger)
_is_deleted = _workspaces.c.deleted_at.is_not(None)

_DELETION_SECONDS = 25.0
"""For the rows of a workspace that the small steps have left, such as deep subtasks."""

_deleted = Statement(select(_workspaces.c.id).where(_is_deleted))
_deleted_of_owner = Statement(
    select(_workspaces.c.id).where(
        _workspaces.c.owner_id == bindparam("user_id", type_=BigInteger), _is_deleted
    )
)
_last_step = (
    delete(_workspaces)
    .where(_workspaces.c.id == _workspace_id, _is_deleted)
    .returning(_workspaces.c.id)
)
_delete = Statement(_last_step, writes=True)
_delete_large = Statement(_last_step, writes=True, seconds=_DELETION_SECONDS)


def delete_workspace(workspace_id: int, until: float = FOREVER) -> bool:
    """Delete the rows of a deleted workspace, and then the workspace itself.

    Args:
        until: the value of `time.monotonic` from which on the rest is left for later.

    Returns:
        Whether nothing is left.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    if not delete_content(workspace_id, until):
        return False
    last = _delete_large if until == FOREVER else _delete
    database.rows(last, workspace_id=workspace_id)
    return True


def delete_deleted_workspaces() -> int:
    """Delete all workspaces that were marked as deleted, and return their number.

    Raises:
        Unavailable, OutcomeUnknown: as `database.rows`.
    """
    deleted = database.rows(_deleted)
    for (workspace_id,) in deleted:
        delete_workspace(workspace_id)
    return len(deleted)


def deleted_workspaces_of(user_id: int) -> list[int]:
    """The IDs of the workspaces of an owner that were marked as deleted."""
    return [workspace_id for (workspace_id,) in database.rows(_deleted_of_owner, user_id=user_id)]


def delete_content(workspace_id: int, until: float) -> bool:
    """Delete the rows of a workspace, but not the workspace. The rest is as `delete_workspace`."""
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
