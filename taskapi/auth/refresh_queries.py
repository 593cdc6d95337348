"""SQL of refresh tokens."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    select,
    update,
)

from taskapi.auth.models import Session, User
from taskapi.auth.queries import ACCOUNT_COLUMNS, EXPIRY, IS_LIVE, SECOND
from taskapi.db.statement import Statement
from taskapi.extensions import table_of

REFRESH_GRACE_SECONDS = 10
"""For this time after its use, a refresh token returns the current one of its session."""

REFRESH_GRACE_TOKENS = 8
"""The number of used tokens that this applies to, beginning with the newest."""

_users, _sessions = table_of(User), table_of(Session)

_refresh_hash = bindparam("refresh_hash", type_=LargeBinary)
_next_hash = bindparam("next_hash", type_=LargeBinary)
_email = bindparam("email", type_=Text)
# A subquery, because Citus refuses a CASE with a function that is not immutable.
_grace_start = (func.now() - literal(REFRESH_GRACE_SECONDS) * SECOND).label("grace_start")
_grace = select(_grace_start).subquery("grace")
_uses = func.array_prepend(
    _sessions.c.last_used_at, _sessions.c.previous_uses, type_=_sessions.c.previous_uses.type
)
_named_session = and_(
    _sessions.c.user_id == bindparam("user_id", type_=BigInteger),
    _sessions.c.id == bindparam("session_id", type_=BigInteger),
    _sessions.c.family_hash == bindparam("family_hash", type_=LargeBinary),
)

rotate = Statement(
    update(_sessions)
    .values(
        refresh_hash=_next_hash,
        last_used_at=func.now(),
        previous_uses=case(
            (_sessions.c.last_used_at > _grace.c.grace_start, _uses[1 : REFRESH_GRACE_TOKENS - 1]),
            else_=literal_column("'{}'"),
        ),
        expires_at=EXPIRY,
    )
    .where(
        _named_session,
        _sessions.c.refresh_hash == _refresh_hash,
        IS_LIVE,
        _users.c.id == _sessions.c.user_id,
    )
    .returning(*ACCOUNT_COLUMNS),
    writes=True,
)
"""Replaces the current refresh token by the next; no row if another token is current."""

live_session = Statement(
    select(
        *ACCOUNT_COLUMNS,
        _sessions.c.refresh_hash,
        _uses.label("uses"),
        _grace_start,
    )
    .join(_users, _users.c.id == _sessions.c.user_id)
    .where(_named_session, IS_LIVE)
)
"""The live session that a refresh token belongs to, whether or not it is the current one."""

any_session = Statement(select(_sessions.c.id).where(_named_session))
"""The session that a refresh token belongs to, live or ended."""

known_device = Statement(
    select(_sessions.c.id)
    .join(_users, _users.c.id == _sessions.c.user_id)
    .where(_named_session, _users.c.email == _email)
)
"""The session, live or ended, that a refresh token belongs to, if it is one of this account."""
