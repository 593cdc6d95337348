"""Use cases of the members of a workspace."""

from __future__ import annotations

from typing import Any

from taskapi.auth.memberships import end_membership, revoke_sent_invitations
from taskapi.db import database
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import InsufficientRole, NotFound, Problem, SessionEnded, Unavailable
from taskapi.workspaces import queries as workspaces
from taskapi.workspaces.access import MANAGERS, locked, require_role
from taskapi.workspaces.members import queries as statements
from taskapi.workspaces.models import OWNER, ROLES

Member = dict[str, Any]


class OwnerCannotLeave(Problem):
    """The owner of a workspace cannot leave it. Transfer or delete the workspace."""

    status = 409
    code = "owner_cannot_leave"
    title = "Owner cannot leave"
    detail = "The owner cannot leave the workspace. Transfer or delete it."


def list_members(caller: Caller, workspace_id: int) -> list[Member]:
    """The members of a workspace, the first joined first. Only managers see email addresses.

    Raises:
        SessionEnded, NotFound, Forbidden, InsufficientScope: as `require_role`.
    """
    found = _members(caller, workspace_id) if caller.may_use(workspace_id) else []
    if not found:
        require_role(caller, workspace_id)
        raise Unavailable  # The caller has become a member meanwhile.
    return found


def set_role(caller: Caller, workspace_id: int, user_id: int, role: str) -> Member:
    """Set the role of a member, to one that is not higher than the caller's own.

    Without a role that may invite, the open invitations that the member has sent are revoked.

    Raises:
        SessionEnded, NotFound, Forbidden: as `require_role`; also for the member.
        InsufficientRole: the caller does not manage the workspace, or the member is the owner.
    """
    with locked(caller, workspace_id, MANAGERS) as own_role:
        _require_member(workspace_id, user_id)
        if ROLES.index(role) < ROLES.index(own_role):
            raise InsufficientRole("Nobody can give a role that is higher than their own.")
        ids = {"workspace_id": workspace_id, "user_id": user_id}
        database.row(workspaces.set_role, role=role, **ids)
        if role not in MANAGERS:
            revoke_sent_invitations(**ids)
        found = _members(caller, workspace_id)
        if not found:  # The session has ended meanwhile.
            raise SessionEnded
    log_event("role_changed", workspace_id=workspace_id, member_id=user_id, role=role)
    return next(member for member in found if member["user_id"] == user_id)


def remove_member(caller: Caller, workspace_id: int, user_id: int) -> None:
    """Remove a member, or leave the workspace. See `end_membership`.

    Raises:
        SessionEnded, NotFound, Forbidden: as `require_role`; also for the member.
        InsufficientRole: the caller does not manage the workspace, or the member is the owner.
        OwnerCannotLeave: as it says.
    """
    roles = ROLES if user_id == caller.user_id else MANAGERS
    with locked(caller, workspace_id, roles) as own_role:
        if own_role == OWNER and user_id == caller.user_id:
            raise OwnerCannotLeave
        _require_member(workspace_id, user_id)
        end_membership(workspace_id, user_id)
    log_event("member_removed", workspace_id=workspace_id, member_id=user_id)


def _members(caller: Caller, workspace_id: int) -> list[Member]:
    rows = database.rows(statements.members, workspace_id=workspace_id, **scope(caller))
    return [dict(zip(statements.members.columns, row, strict=True)) for row in rows]


def _require_member(workspace_id: int, user_id: int) -> None:
    """Check that a user is a member whose role can be changed."""
    found = database.row(workspaces.role_of, workspace_id=workspace_id, user_id=user_id)
    if found is None:
        raise NotFound("Member not found")
    if found["role"] == OWNER:
        raise InsufficientRole("The owner stays the owner until the workspace is transferred.")
