"""Use cases of invitations."""

from __future__ import annotations

from typing import Any

from flask import current_app

from taskapi.auth import attempts, ratelimit
from taskapi.auth.emails import tokens
from taskapi.auth.locking import locked_account
from taskapi.auth.memberships import lock_workspace
from taskapi.db import database
from taskapi.db.quotas import QuotaExceeded
from taskapi.db.tenancy import require_access, rows_of_live_session, scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import Forbidden, NotFound, Problem
from taskapi.workspaces import queries as workspaces
from taskapi.workspaces.access import MANAGERS, locked, require_role
from taskapi.workspaces.invitations import queries as statements
from taskapi.workspaces.invitations.jobs import sealed, send_invitation
from taskapi.workspaces.members import queries as members
from taskapi.workspaces.service import Workspace, get_workspace

Invitation = dict[str, Any]

LIFETIME = 7 * 86_400
"""Seconds for which an invitation can be accepted."""

MAX_MEMBERSHIPS = 1_000
"""The shared workspaces that an account can be a member of."""


class InvitationInvalid(Problem):
    """The invitation does not exist: it was used, revoked or replaced, or it has expired."""

    status = 400
    code = "invitation_invalid"
    title = "Invitation invalid"
    detail = "The invitation was used, replaced or revoked, or it has expired. Ask for a new one."


class AlreadyMember(Problem):
    """The account with this email address is a member of the workspace."""

    status = 409
    code = "already_member"
    title = "Already a member"
    detail = "The account with this email address is a member of the workspace."


def invite(caller: Caller, workspace_id: int, email: str, role: str) -> Invitation:
    """Invite an email address, and send it the token. Only the result contains the token itself.

    An earlier invitation of the address is replaced.

    Raises:
        SessionEnded, NotFound, Forbidden, InsufficientRole: as `require_role`.
        AlreadyMember, QuotaExceeded, RateLimited: see there.
    """
    require_role(caller, workspace_id, MANAGERS)
    ratelimit.spend(attempts.INVITE_PER_ACCOUNT, by=caller.user_id)
    ratelimit.spend(attempts.INVITE_PER_WORKSPACE, by=workspace_id)
    token = tokens.new_token()
    where = {"workspace_id": workspace_id, "email": email}
    with locked(caller, workspace_id, MANAGERS):
        _require_room(where)
        created = database.row(
            statements.create,
            role=role,
            token_hash=tokens.hash_of(token),
            user_id=caller.user_id,
            lifetime=LIFETIME,
            **where,
        )
        assert created
        send_invitation.defer(workspace_id, caller.user_id, sealed(token))
    log_event("invited", workspace_id=workspace_id, invitation_id=created["id"], role=role)
    return {**created, "token": token}


def list_invitations(caller: Caller, workspace_id: int) -> list[Invitation]:
    """The open invitations to a workspace, the oldest first.

    Raises:
        SessionEnded, NotFound, Forbidden, InsufficientRole: as `require_role`.
    """
    require_role(caller, workspace_id, MANAGERS)
    rows = database.rows(statements.open_invitations, workspace_id=workspace_id)
    return [dict(zip(statements.open_invitations.columns, row, strict=True)) for row in rows]


def revoke(caller: Caller, workspace_id: int, invitation_id: int) -> None:
    """Revoke an invitation.

    Raises:
        SessionEnded, Forbidden, InsufficientRole: as `require_role`.
        NotFound: there is no such workspace or invitation.
    """
    with locked(caller, workspace_id, MANAGERS):
        if not _delete(workspace_id, invitation_id):
            raise NotFound("Invitation not found")
    log_event("invitation_revoked", workspace_id=workspace_id, invitation_id=invitation_id)


def own_invitations(caller: Caller) -> list[Invitation]:
    """The open invitations for the caller's email, if it is verified; the oldest first.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    return rows_of_live_session(statements.own_invitations, **scope(caller))


def accept(caller: Caller, token: str | None = None, invitation_id: int = 0) -> Workspace:
    """Accept an invitation, and return the workspace. A member keeps the role.

    Args:
        token: of the invitation, for an account with the invited email, verified or not.
        invitation_id: the same, for an account whose email is verified.

    Raises:
        SessionEnded: the caller's session has ended.
        InvitationInvalid, QuotaExceeded: as they say.
        NotFound: there is no such invitation for the caller's email.
        Forbidden: the token is for another email.
    """
    with locked_account(caller.user_id):
        invitation = _find(caller, token, invitation_id)
        ids = {"workspace_id": invitation["workspace_id"], "user_id": caller.user_id}
        if not database.row(lock_workspace, workspace_id=ids["workspace_id"]):
            raise InvitationInvalid
        # Again, since it may have been revoked or replaced before the lock.
        current = _find(caller, token, invitation_id)
        _delete(ids["workspace_id"], current["id"])
        if database.row(workspaces.role_of, **ids) is None:
            _require_room_for_member(**ids)
            database.row(workspaces.add_member, role=current["role"], **ids)
        workspace = get_workspace(caller, ids["workspace_id"])
    log_event("invitation_accepted", workspace_id=ids["workspace_id"], role=current["role"])
    return workspace


def decline(caller: Caller, token: str | None = None, invitation_id: int = 0) -> None:
    """Decline an invitation, which is deleted. The arguments and errors are those of `accept`."""
    invitation = _find(caller, token, invitation_id)
    if not _delete(invitation["workspace_id"], invitation["id"]):
        raise InvitationInvalid
    log_event("invitation_declined", workspace_id=invitation["workspace_id"])


def _find(caller: Caller, token: str | None, invitation_id: int) -> Invitation:
    token_hash = tokens.hash_of(token) if token else b""
    found = database.row(
        statements.find, token_hash=token_hash, invitation_id=invitation_id, **scope(caller)
    )
    if found:
        return found
    require_access(caller)
    if token is None:
        raise NotFound("There is no such invitation for the verified email of this account.")
    if database.row(statements.is_for_another, token_hash=token_hash):
        raise Forbidden("The invitation is for another email address.")
    raise InvitationInvalid


def _delete(workspace_id: int, invitation_id: int) -> bool:
    parameters = {"workspace_id": workspace_id, "invitation_id": invitation_id}
    return bool(database.rows(statements.delete_invitation, **parameters))


def _require_room(where: dict[str, Any]) -> None:
    found = database.row(statements.is_member, **where)
    if found and found["is_member"]:
        raise AlreadyMember
    most = current_app.config["QUOTA_INVITATIONS"]
    if _number(statements.number_of_others, **where) >= most:
        raise QuotaExceeded(f"A workspace can have {most:,} open invitations. Revoke one.")


def _require_room_for_member(workspace_id: int, user_id: int) -> None:
    most = current_app.config["QUOTA_MEMBERS"]
    if _number(members.number_of_members, workspace_id=workspace_id) >= most:
        raise QuotaExceeded(f"The workspace has the maximum number of members, {most:,}.")
    if _number(members.number_of_memberships, user_id=user_id) >= MAX_MEMBERSHIPS:
        raise QuotaExceeded(
            f"An account can be a member of {MAX_MEMBERSHIPS:,} shared workspaces. Leave one."
        )


def _number(statement: Any, **parameters: Any) -> int:
    found = database.row(statement, **parameters)
    assert found
    number: int = found["number"]
    return number
