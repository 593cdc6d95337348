"""SQL of personal access tokens."""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    LargeBinary,
    String,
    Text,
    and_,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from taskapi.auth.models import TOKEN, Session
from taskapi.auth.queries import ENDED_LONG_AGO, IS_LIVE, IS_LOGIN, live_page
from taskapi.db.pages import Ordering
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USER_ID, has_live_session
from taskapi.extensions import table_of
from taskapi.workspaces.models import Membership

_sessions, _members = table_of(Session), table_of(Membership)

_NEVER = literal_column("'infinity'::timestamptz", DateTime(timezone=True))
_expires_at = bindparam("expires_at", type_=DateTime(timezone=True))

COLUMNS = (
    _sessions.c.id,
    _sessions.c.name,
    _sessions.c.scopes,
    _sessions.c.workspace_ids,
    _sessions.c.created_at,
    _sessions.c.last_used_at,
    # No Python datetime is infinite.
    func.nullif(_sessions.c.expires_at, _NEVER).label("expires_at"),
)

_is_of_caller = and_(_sessions.c.user_id == USER_ID, ~IS_LOGIN, IS_LIVE, has_live_session())


def _create_token() -> Statement:
    valid = _sessions.alias("valid")
    number = (
        select(func.count())
        .where(
            valid.c.user_id == USER_ID,
            valid.c.kind == literal_column(f"'{TOKEN}'", Text),
            valid.c.revoked_at.is_(None),
            valid.c.expires_at > func.now(),
        )
        .scalar_subquery()
    )
    swept = delete(_sessions).where(_sessions.c.user_id == USER_ID, ENDED_LONG_AGO).cte("swept")
    values = {
        "user_id": USER_ID,
        "kind": literal_column(f"'{TOKEN}'", Text),
        "token_hash": bindparam("token_hash", type_=LargeBinary),
        "name": bindparam("name", type_=String),
        "scopes": bindparam("scopes", type_=ARRAY(Text)),
        "workspace_ids": bindparam("workspace_ids", type_=ARRAY(BigInteger)),
        "last_used_at": literal_column("NULL::timestamptz", DateTime(timezone=True)),
        "expires_at": func.coalesce(_expires_at, _NEVER),
    }
    row = select(*values.values()).where(
        number < bindparam("quota", type_=BigInteger), has_live_session()
    )
    created = (
        insert(_sessions)
        .from_select([*values], row, include_defaults=False)
        .returning(*COLUMNS)
        .cte("created")
    )
    # Citus refuses INSERT ... SELECT after a WITH that contains a DELETE.
    return Statement(select(*created.c).add_cte(swept), writes=True)


create_token = _create_token()
"""Creates a token; no row if the session has ended, or if the account has reached its quota.

The account must be locked, so that its tokens are counted and created one at a time.
"""

memberships = Statement(
    select(_members.c.workspace_id).where(
        _members.c.user_id == USER_ID,
        _members.c.workspace_id == any_(bindparam("workspace_ids", type_=ARRAY(BigInteger))),
        has_live_session(),
    )
)
"""Which of these shared workspaces the caller is a member of."""

revoke_token = Statement(
    update(_sessions)
    .values(revoked_at=func.now())
    .where(_is_of_caller, _sessions.c.id == bindparam("session_id", type_=BigInteger))
    .returning(_sessions.c.id),
    writes=True,
)
"""Revokes one of the caller's tokens."""

revoke_tokens = Statement(
    update(_sessions).values(revoked_at=func.now()).where(_is_of_caller).returning(_sessions.c.id),
    writes=True,
)
"""Revokes all tokens of the caller."""


@cache
def token_page(ordering: Ordering) -> Statement:
    """A page of the caller's valid tokens: see `auth.queries.live_page`."""
    return live_page(ordering, ~IS_LOGIN, COLUMNS)
