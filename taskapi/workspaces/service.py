"""Use cases of shared workspaces."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn

from flask import current_app

from taskapi.auth.locking import locked_account
from taskapi.db import database, workspace_deletion
from taskapi.db.quotas import QuotaExceeded, usage
from taskapi.db.tenancy import require_access, rows_of_live_session, scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import InvalidInput, RateLimited, SessionEnded, Unavailable
from taskapi.workspaces import queries as statements
from taskapi.workspaces.access import MANAGERS, locked, require_role
from taskapi.workspaces.models import ADMIN, OWNER

Workspace = dict[str, Any]

_DELETION_SECONDS = 0.5


def list_workspaces(caller: Caller) -> list[Workspace]:
    """The shared workspaces that the caller is a member of, the oldest first.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    allowed = None if caller.workspace_ids is None else sorted(caller.workspace_ids)
    rows = rows_of_live_session(statements.own_workspaces, workspace_ids=allowed, **scope(caller))
    return [_workspace(row) for row in rows]


def get_workspace(caller: Caller, workspace_id: int) -> Workspace:
    """A shared workspace that the caller is a member of.

    Raises:
        SessionEnded, NotFound, Forbidden, InsufficientScope: as `require_role`.
    """
    if caller.may_use(workspace_id):
        found = _found(caller, workspace_id)
        if found:
            return found
    require_role(caller, workspace_id)
    raise Unavailable  # The caller has become a member meanwhile.


def create_workspace(caller: Caller, name: str) -> Workspace:
    """Create a workspace with an inbox, which the caller owns.

    Raises:
        SessionEnded: the caller's session has ended.
        QuotaExceeded: as it says.
    """
    with locked_account(caller.user_id):
        quota = _quota("QUOTA_WORKSPACES")
        new = database.row(statements.next_id, quota=quota, **scope(caller))
        if new is None:
            _raise_for_quota(caller)
        ids = {**new, "user_id": caller.user_id}
        database.row(statements.create, name=name, **ids)
        database.row(statements.add_member, role=OWNER, **ids)
        database.row(statements.create_inbox, **ids)
        workspace = _own(caller, **new)
    log_event("workspace_created", **new)
    return workspace


def rename_workspace(caller: Caller, workspace_id: int, name: str | None) -> Workspace:
    """Rename a workspace; without a name it does not change.

    Raises:
        SessionEnded, NotFound, Forbidden, InsufficientRole: as `require_role`.
    """
    with locked(caller, workspace_id, MANAGERS):
        if name is not None:
            database.row(statements.rename, workspace_id=workspace_id, name=name)
        workspace = _own(caller, workspace_id)
    if name is not None:
        log_event("workspace_renamed", workspace_id=workspace_id)
    return workspace


def delete_workspace(caller: Caller, workspace_id: int) -> None:
    """Delete a workspace. Nobody can access it from then on.

    Its rows are deleted for a limited time; `flask purge` deletes the others.

    Raises:
        SessionEnded, NotFound, Forbidden, InsufficientRole: as `require_role`.
    """
    with locked(caller, workspace_id, (OWNER,)):
        database.row(statements.close, workspace_id=workspace_id)
        database.rows(statements.delete_members, workspace_id=workspace_id)
        database.rows(statements.delete_invitations, workspace_id=workspace_id)
    log_event("workspace_deleted", workspace_id=workspace_id)
    with suppress(Unavailable, RateLimited):
        workspace_deletion.delete_workspace(workspace_id, monotonic() + _DELETION_SECONDS)


def transfer_workspace(caller: Caller, workspace_id: int, user_id: int) -> Workspace:
    """Make another member the owner of a workspace. The caller becomes an admin.

    Raises:
        SessionEnded, NotFound, Forbidden, InsufficientRole: as `require_role`.
        InvalidInput: the user is not a member.
        QuotaExceeded: the new owner owns the maximum of workspaces.
    """
    require_role(caller, workspace_id, (OWNER,))
    ids = {"workspace_id": workspace_id, "user_id": user_id}
    # Before the lock of the account, which could be anybody's.
    _require_member(**ids)
    with locked_account(user_id), locked(caller, workspace_id, (OWNER,)):
        _require_member(**ids)
        if user_id != caller.user_id:
            _require_room_for_workspace(user_id)
            database.row(
                statements.set_role,
                workspace_id=workspace_id,
                user_id=caller.user_id,
                role=ADMIN,
            )
            database.row(statements.set_role, role=OWNER, **ids)
            database.row(statements.set_owner, **ids)
        workspace = _own(caller, workspace_id)
    log_event("workspace_transferred", workspace_id=workspace_id, to_user_id=user_id)
    return workspace


def _own(caller: Caller, workspace_id: int) -> Workspace:
    """A workspace that the caller is a member of, unless the session has ended meanwhile."""
    found = _found(caller, workspace_id)
    if found is None:
        raise SessionEnded
    return found


def _found(caller: Caller, workspace_id: int) -> Workspace | None:
    found = database.row(statements.own_workspace, workspace_id=workspace_id, **scope(caller))
    return _workspace(found) if found else None


def _workspace(row: dict[str, Any]) -> Workspace:
    quotas = usage(row)
    return {**row, "quotas": quotas}


def _require_member(workspace_id: int, user_id: int) -> None:
    if database.row(statements.role_of, workspace_id=workspace_id, user_id=user_id) is None:
        raise InvalidInput.at("/user_id", "Member not found.", "unknown_reference")


def _require_room_for_workspace(user_id: int) -> None:
    owned = database.row(statements.owned_number, user_id=user_id)
    assert owned
    if owned["number"] >= _quota("QUOTA_WORKSPACES"):
        raise QuotaExceeded("The new owner has the maximum number of shared workspaces.")


def _raise_for_quota(caller: Caller) -> NoReturn:
    require_access(caller)
    most = _quota("QUOTA_WORKSPACES")
    raise QuotaExceeded(f"An account can own {most:,} shared workspaces. Delete or transfer one.")


def _quota(name: str) -> int:
    quota: int = current_app.config[name]
    return quota
