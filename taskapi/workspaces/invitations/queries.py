"""SQL of invitations."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from taskapi.auth.memberships import IS_SHARED, WORKSPACE_ID
from taskapi.auth.models import User
from taskapi.auth.queries import IS_CALLER, SECOND
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.db.tenancy import WORKSPACES, of_live_session
from taskapi.extensions import table_of
from taskapi.workspaces.models import Invitation, Membership

_users, _members = table_of(User), table_of(Membership)
_invitations = table_of(Invitation)

_email = bindparam("email", type_=Text)
_role = bindparam("role", type_=Text)
_token_hash = bindparam("token_hash", type_=LargeBinary)
_id = bindparam("invitation_id", type_=BigInteger)

COLUMNS = (
    _invitations.c.id,
    _invitations.c.workspace_id,
    _invitations.c.email,
    _invitations.c.role,
    _invitations.c.invited_by,
    _invitations.c.created_at,
    _invitations.c.expires_at,
)
_is_open = _invitations.c.expires_at > func.now()
_is_of_workspace = _invitations.c.workspace_id == WORKSPACE_ID


def _create() -> Statement:
    values = {
        "email": _email,
        "role": _role,
        "token_hash": _token_hash,
        "invited_by": bindparam("user_id", type_=BigInteger),
        "created_at": func.now(),
        "expires_at": func.now() + bindparam("lifetime", type_=BigInteger) * SECOND,
    }
    new = insert(_invitations).values(workspace_id=WORKSPACE_ID, **values)
    replaced = {name: new.excluded[name] for name in values if name != "email"}
    return Statement(
        new.on_conflict_do_update(
            index_elements=["workspace_id", "email"], set_=replaced
        ).returning(*COLUMNS),
        writes=True,
    )


create = _create()
"""Creates an invitation, or replaces the one of the same email address."""

open_invitations = Statement(
    select(*COLUMNS).where(_is_of_workspace, _is_open).order_by(_invitations.c.id)
)
"""The open invitations to a workspace."""

number_of_others = Statement(
    select(func.count().label("number")).where(
        _is_of_workspace, _is_open, _invitations.c.email != _email
    )
)
"""How many open invitations to a workspace are for other email addresses."""

is_member = Statement(
    select(
        exists()
        .where(
            _members.c.workspace_id == WORKSPACE_ID,
            _members.c.user_id == _users.c.id,
            _users.c.email == _email,
        )
        .label("is_member")
    )
)
"""Whether the account with this email is a member of the workspace."""

delete_invitation = Statement(
    delete(_invitations)
    .where(_is_of_workspace, _invitations.c.id == _id)
    .returning(_invitations.c.id),
    writes=True,
)
"""Deletes an invitation."""

_of_caller = and_(IS_CALLER, _users.c.email == _invitations.c.email, _is_open)


_inviters = _users.alias("inviter")
_mine = (
    select(
        *COLUMNS,
        WORKSPACES.c.name.label("workspace_name"),
        func.coalesce(_inviters.c.name, _inviters.c.email).label("inviter_name"),
    )
    .select_from(_invitations)
    .join(_users, _of_caller)
    .join(WORKSPACES, and_(WORKSPACES.c.id == _invitations.c.workspace_id, IS_SHARED))
    .outerjoin(_inviters, _inviters.c.id == _invitations.c.invited_by)
)

own_invitations = of_live_session(_mine.where(_users.c.email_verified))
"""The open invitations for the caller's email, if it is verified."""

_is_named = and_(_invitations.c.id == _id, _users.c.email_verified)

find = Statement(_mine.where(or_(_invitations.c.token_hash == _token_hash, _is_named)))
"""The open invitation for the caller's email with this token, or with this ID if it is verified."""

is_for_another = Statement(
    select(_invitations.c.id).where(_invitations.c.token_hash == _token_hash, _is_open)
)
"""Whether a token belongs to an open invitation of any account."""

mailed = Statement(
    select(
        _invitations.c.email,
        _invitations.c.role,
        WORKSPACES.c.name.label("workspace_name"),
        func.coalesce(_users.c.name, _users.c.email).label("inviter"),
    )
    .select_from(_invitations)
    .join(WORKSPACES, and_(WORKSPACES.c.id == _invitations.c.workspace_id, IS_SHARED))
    .join(_users, _users.c.id == _invitations.c.invited_by)
    .where(_is_of_workspace, WORKSPACES.c.id == WORKSPACE_ID)
    .where(_invitations.c.token_hash == _token_hash, _is_open)
)
"""What the mail of an invitation contains; no row if it is not open any more."""

invitations_purge = Purge(_invitations, _invitations.c.expires_at <= func.now())
"""Deletes expired invitations."""
