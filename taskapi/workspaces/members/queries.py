"""SQL of the members of a workspace."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text, and_, bindparam, case, func, literal_column, null, select

from taskapi.auth.memberships import WORKSPACE_ID
from taskapi.auth.models import User
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USER_ID, has_live_session
from taskapi.extensions import table_of
from taskapi.workspaces.models import ADMIN, OWNER, Membership

_users, _members = table_of(User), table_of(Membership)

_own = _members.alias("own")
_is_manager = _own.c.role.in_([literal_column(f"'{role}'", Text) for role in (OWNER, ADMIN)])

members = Statement(
    select(
        _members.c.user_id,
        _users.c.name,
        case((_is_manager, _users.c.email), else_=null()).label("email"),
        _members.c.role,
        _members.c.created_at,
    )
    .join(_users, _users.c.id == _members.c.user_id)
    .join(_own, and_(_own.c.workspace_id == WORKSPACE_ID, _own.c.user_id == USER_ID))
    .where(_members.c.workspace_id == WORKSPACE_ID, has_live_session())
    .order_by(_members.c.created_at, _members.c.user_id)
)
"""The members of a workspace that the caller is a member of. Only managers see email addresses."""

number_of_members = Statement(
    select(func.count().label("number")).where(_members.c.workspace_id == WORKSPACE_ID)
)
"""How many members a workspace has."""

number_of_memberships = Statement(
    select(func.count().label("number")).where(
        _members.c.user_id == bindparam("user_id", type_=BigInteger)
    )
)
"""How many shared workspaces an account is a member of."""
