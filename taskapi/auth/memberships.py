"""How memberships in shared workspaces end: by leaving, removal, or deletion of the account."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from sqlalchemy import BigInteger, and_, bindparam, delete, or_, select

from taskapi.auth.models import User
from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.db.tenancy import WORKSPACES
from taskapi.extensions import table_of
from taskapi.problems import Problem
from taskapi.runtime.context import extensions
from taskapi.workspaces.models import Invitation, Membership

_users, _members, _invitations = table_of(User), table_of(Membership), table_of(Invitation)

WORKSPACE_ID = bindparam("workspace_id", type_=BigInteger)
MEMBER_ID = bindparam("user_id", type_=BigInteger)
IS_SHARED = and_(WORKSPACES.c.owner_id != WORKSPACES.c.id, WORKSPACES.c.deleted_at.is_(None))
"""True in SQL for workspaces that are neither personal nor deleted."""

_MAX_NAMED = 3

lock_workspace = Statement(
    select(WORKSPACES.c.id)
    .where(WORKSPACES.c.id == WORKSPACE_ID, IS_SHARED)
    .with_for_update(key_share=True),
    writes=True,
)
"""Locks a shared workspace until the transaction ends."""

_owned = Statement(
    select(WORKSPACES.c.id, WORKSPACES.c.name)
    .where(WORKSPACES.c.owner_id == MEMBER_ID, IS_SHARED)
    .order_by(WORKSPACES.c.id)
)
_of_account = Statement(select(_members.c.workspace_id).where(_members.c.user_id == MEMBER_ID))
_delete = Statement(
    delete(_members)
    .where(_members.c.workspace_id == WORKSPACE_ID, _members.c.user_id == MEMBER_ID)
    .returning(_members.c.user_id),
    writes=True,
)
_is_sent_by_member = and_(
    _invitations.c.workspace_id == WORKSPACE_ID, _invitations.c.invited_by == MEMBER_ID
)
_email = select(_users.c.email).where(_users.c.id == MEMBER_ID).scalar_subquery()
_is_sent_to_member = and_(
    _invitations.c.workspace_id == WORKSPACE_ID, _invitations.c.email == _email
)
_revoke_sent = Statement(
    delete(_invitations).where(_is_sent_by_member).returning(_invitations.c.id), writes=True
)
_revoke_all_sent = Statement(
    delete(_invitations).where(_invitations.c.invited_by == MEMBER_ID).returning(_invitations.c.id),
    writes=True,
)
_revoke_all = Statement(
    delete(_invitations)
    .where(or_(_is_sent_by_member, _is_sent_to_member))
    .returning(_invitations.c.id),
    writes=True,
)


class OwnsWorkspace(Problem):
    """The account owns shared workspaces. Transfer or delete them first."""

    status = 409
    code = "owns_workspace"
    title = "Owns a workspace"
    detail = "The account owns a shared workspace. Transfer or delete it first."


def init_app(app: Flask, leaving: Callable[[int, int], None]) -> None:
    """Set what happens when a member leaves a workspace.

    Args:
        leaving: is called with the IDs of workspace and user, in the transaction that deletes the
            membership while the workspace is locked.
    """
    app.extensions["taskapi_leaving"] = leaving


def require_no_workspace(user_id: int) -> None:
    """Check that an account owns no shared workspace.

    Raises:
        OwnsWorkspace: it owns some, which the error names.
    """
    owned = database.rows(_owned, user_id=user_id)
    if owned:
        names = ", ".join(f"“{name}” (ID {id_})" for id_, name in owned[:_MAX_NAMED])
        more = f" and {len(owned) - _MAX_NAMED} more" if len(owned) > _MAX_NAMED else ""
        noun, them = ("workspace", "it") if len(owned) == 1 else ("workspaces", "them")
        raise OwnsWorkspace(
            f"The account owns the {noun} {names}{more}. Transfer or delete {them} first."
        )


def end_membership(workspace_id: int, user_id: int) -> None:
    """Delete the membership of an account, while the workspace is locked.

    The open invitations that the account has sent or received are revoked, so that it cannot come
    back by one of them.
    """
    database.rows(_revoke_all, workspace_id=workspace_id, user_id=user_id)
    if database.row(_delete, workspace_id=workspace_id, user_id=user_id):
        extensions()["taskapi_leaving"](workspace_id, user_id)


def revoke_sent_invitations(workspace_id: int, user_id: int) -> None:
    """Revoke the open invitations that a member has sent, while the workspace is locked."""
    database.rows(_revoke_sent, workspace_id=workspace_id, user_id=user_id)


def revoke_all_sent_invitations(user_id: int) -> None:
    """Revoke the open invitations that an account has sent, to all workspaces."""
    database.rows(_revoke_all_sent, user_id=user_id)


def end_memberships(user_id: int) -> None:
    """Delete all memberships of an account, which owns no shared workspace."""
    for (workspace_id,) in database.rows(_of_account, user_id=user_id):
        with database.transaction():
            database.row(lock_workspace, workspace_id=workspace_id)
            end_membership(workspace_id, user_id)
