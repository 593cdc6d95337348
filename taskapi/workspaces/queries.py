"""SQL of shared workspaces."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Text,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from taskapi.auth.memberships import IS_SHARED, MEMBER_ID, WORKSPACE_ID
from taskapi.auth.models import User
from taskapi.auth.queries import IS_CALLER
from taskapi.db.names import name_key
from taskapi.db.quotas import QUOTAS
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USER_ID, WORKSPACES, has_live_session, of_live_session
from taskapi.extensions import table_of
from taskapi.tasks.lists.models import List
from taskapi.workspaces.models import NEXT_ID, Invitation, Membership

_users, _lists = table_of(User), table_of(List)
_members, _invitations = table_of(Membership), table_of(Invitation)

_INBOX = "Inbox"

_name = bindparam("name", type_=Text)
_role = bindparam("role", type_=Text)
_quota = bindparam("quota", type_=BigInteger)
_allowed = bindparam("workspace_ids", type_=ARRAY(BigInteger))

IS_MEMBER = and_(_members.c.workspace_id == WORKSPACE_ID, _members.c.user_id == MEMBER_ID)

_all_members = _members.alias("all_members")
_member_count = (
    select(func.count())
    .where(_all_members.c.workspace_id == WORKSPACES.c.id)
    .scalar_subquery()
    .label("member_count")
)
_of_caller = (
    select(
        WORKSPACES.c.id,
        WORKSPACES.c.name,
        WORKSPACES.c.owner_id,
        _members.c.role,
        _member_count,
        WORKSPACES.c.created_at,
        WORKSPACES.c.updated_at,
        *(WORKSPACES.c[quota.total] for quota in QUOTAS),
    )
    .join(_members, _members.c.workspace_id == WORKSPACES.c.id)
    .where(_members.c.user_id == USER_ID, IS_SHARED, has_live_session())
)

_is_allowed = or_(_allowed.is_(None), _members.c.workspace_id == any_(_allowed))

own_workspaces = of_live_session(_of_caller.where(_is_allowed))
"""The shared workspaces of the caller: those of the token, if it is for some."""

own_workspace = Statement(
    _of_caller.where(WORKSPACES.c.id == WORKSPACE_ID, _members.c.workspace_id == WORKSPACE_ID)
)
"""A shared workspace of the caller."""

access = Statement(
    select(
        has_live_session().label("is_live"),
        select(_members.c.role)
        .where(_members.c.workspace_id == WORKSPACE_ID, _members.c.user_id == USER_ID)
        .scalar_subquery()
        .label("role"),
        select(WORKSPACES.c.id)
        .where(WORKSPACES.c.id == WORKSPACE_ID, IS_SHARED)
        .scalar_subquery()
        .label("workspace_id"),
    )
)
"""Whether the caller's session is active, the caller's role, and whether there is the workspace."""

next_id = Statement(
    select(literal_column(NEXT_ID.text, BigInteger).label("workspace_id")).where(
        exists().where(IS_CALLER),
        select(func.count()).where(WORKSPACES.c.owner_id == USER_ID, IS_SHARED).scalar_subquery()
        < _quota,
    ),
    writes=True,
)
"""An ID; no row if the session has ended, or if the account owns the maximum of workspaces.

In a cluster it queries all shards. The statements that use the ID use one.
"""

create = Statement(
    insert(WORKSPACES)
    .values(
        id=WORKSPACE_ID, owner_id=MEMBER_ID, name=_name, list_count=literal_column("1", BigInteger)
    )
    .returning(WORKSPACES.c.id),
    writes=True,
)
"""Creates a workspace."""

create_inbox = Statement(
    insert(_lists)
    .values(
        workspace_id=WORKSPACE_ID,
        id=WORKSPACE_ID,
        user_id=MEMBER_ID,
        name=literal(_INBOX, Text),
        name_key=literal(name_key(_INBOX), Text),
        is_archived=false(),
        open_count=literal_column("0", BigInteger),
        completed_count=literal_column("0", BigInteger),
        version=literal_column("0", BigInteger),
    )
    .returning(_lists.c.id),
    writes=True,
)
"""Creates the inbox of a workspace, which has its ID."""

add_member = Statement(
    insert(_members)
    .values(workspace_id=WORKSPACE_ID, user_id=MEMBER_ID, role=_role)
    .returning(_members.c.user_id),
    writes=True,
)
"""Adds a member to a locked or new workspace."""

rename = Statement(
    update(WORKSPACES)
    .values(name=_name, updated_at=func.now())
    .where(WORKSPACES.c.id == WORKSPACE_ID)
    .returning(WORKSPACES.c.id),
    writes=True,
)
"""Renames a workspace."""

close = Statement(
    update(WORKSPACES)
    .values(deleted_at=func.now())
    .where(WORKSPACES.c.id == WORKSPACE_ID)
    .returning(WORKSPACES.c.id),
    writes=True,
)
"""Marks a workspace as deleted."""

delete_members = Statement(
    delete(_members).where(_members.c.workspace_id == WORKSPACE_ID).returning(_members.c.user_id),
    writes=True,
)
"""Deletes all members of a workspace, so that nobody can access it."""

delete_invitations = Statement(
    delete(_invitations)
    .where(_invitations.c.workspace_id == WORKSPACE_ID)
    .returning(_invitations.c.id),
    writes=True,
)
"""Deletes all invitations to a workspace."""

owned_number = Statement(
    select(func.count().label("number")).where(WORKSPACES.c.owner_id == MEMBER_ID, IS_SHARED)
)
"""How many shared workspaces an account owns."""

set_owner = Statement(
    update(WORKSPACES)
    .values(owner_id=MEMBER_ID, updated_at=func.now())
    .where(WORKSPACES.c.id == WORKSPACE_ID)
    .returning(WORKSPACES.c.id),
    writes=True,
)
"""Sets the owner of a workspace; the role is set separately."""

role_of = Statement(
    select(_members.c.role)
    .join(_users, _users.c.id == _members.c.user_id)
    .where(IS_MEMBER, _users.c.email.is_not(None))
)
"""The role of a member whose account is not deleted."""

set_role = Statement(
    update(_members).values(role=_role).where(IS_MEMBER).returning(_members.c.user_id),
    writes=True,
)
"""Sets the role of a member."""
