"""Who may do what to a shared workspace itself: its settings, members and invitations."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from taskapi.auth.memberships import lock_workspace
from taskapi.db import database
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.problems import (
    Forbidden,
    InsufficientRole,
    InsufficientScope,
    NotFound,
    SessionEnded,
)
from taskapi.workspaces import queries as statements
from taskapi.workspaces.models import ADMIN, OWNER, ROLES

_events = logging.getLogger("taskapi.event")

MANAGERS = (OWNER, ADMIN)
_IS_PERSONAL = "The personal workspace has no settings, members or invitations."
_REFUSALS = {
    MANAGERS: "Only the owner and the admins of the workspace can do this.",
    (OWNER,): "Only the owner of the workspace can do this.",
}


@contextmanager
def locked(caller: Caller, workspace_id: int, roles: Sequence[str] = ROLES) -> Iterator[str]:
    """A transaction that locks a shared workspace, so that its members change one at a time.

    The block gets the caller's role, which is one of these roles.

    Raises:
        SessionEnded, NotFound, Forbidden, InsufficientRole, InsufficientScope: as `require_role`.
    """
    # Before the lock, which others could otherwise take to delay the members.
    require_role(caller, workspace_id, roles)
    with database.transaction():
        database.row(lock_workspace, workspace_id=workspace_id)
        # Again: this statement sees what was committed while the other one waited.
        yield require_role(caller, workspace_id, roles)


def require_role(caller: Caller, workspace_id: int, roles: Sequence[str] = ROLES) -> str:
    """The caller's role in a shared workspace.

    Raises:
        SessionEnded: the caller's session has ended.
        InsufficientScope: the personal access token is for other workspaces.
        NotFound: there is no such shared workspace.
        Forbidden: the caller is no member.
        InsufficientRole: the caller has none of these roles.
    """
    found = database.row(statements.access, workspace_id=workspace_id, **scope(caller))
    assert found
    if not found["is_live"]:
        raise SessionEnded
    if not caller.may_use(workspace_id):
        raise InsufficientScope("This token is not for this workspace.")
    if found["workspace_id"] is None:
        is_personal = workspace_id == caller.user_id
        raise NotFound(_IS_PERSONAL if is_personal else "Workspace not found")
    role: str | None = found["role"]
    if role is not None and role in roles:
        return role
    extra = {"user_id": caller.user_id, "workspace_id": workspace_id}
    _events.warning("refused", extra=extra)
    if role is None:
        raise Forbidden("Not authorized to access this workspace")
    raise InsufficientRole(_REFUSALS[tuple(roles)])
