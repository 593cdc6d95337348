"""SQL of notices: whom a notice is sent to, and what it contains."""

from __future__ import annotations

from sqlalchemy import BigInteger, and_, bindparam, exists, func, select

from taskapi.auth.models import Session, User
from taskapi.auth.queries import IS_LOGIN
from taskapi.db.statement import Statement
from taskapi.extensions import table_of

_users, _sessions = table_of(User), table_of(Session)
_earlier = _sessions.alias("earlier")

_user_id = bindparam("user_id", type_=BigInteger)
_session_id = bindparam("session_id", type_=BigInteger)

# A stranger could have registered with an address that is not verified.
_is_reachable = and_(_users.c.email.is_not(None), _users.c.email_verified)

_is_same_device = and_(
    _earlier.c.user_id == _sessions.c.user_id,
    _earlier.c.id < _sessions.c.id,
    _earlier.c.kind == _sessions.c.kind,
    _earlier.c.user_agent.is_not_distinct_from(_sessions.c.user_agent),
    _earlier.c.address.is_not_distinct_from(_sessions.c.address),
)

recipient = Statement(
    select(_users.c.email, _users.c.timezone).where(_users.c.id == _user_id, _is_reachable)
)
"""The address and the time zone of an account; no row if its address is not verified."""

new_device = Statement(
    select(
        _users.c.email,
        _users.c.timezone,
        _sessions.c.created_at,
        _sessions.c.user_agent,
        func.host(_sessions.c.address).label("address"),
    )
    .join(_users, _users.c.id == _sessions.c.user_id)
    .where(
        _sessions.c.user_id == _user_id,
        _sessions.c.id == _session_id,
        IS_LOGIN,
        _is_reachable,
        ~exists().where(_is_same_device),
    )
)
"""A login, unless an earlier one had the same program and address."""

wants_notices = Statement(select(_users.c.id).where(_users.c.id == _user_id, _users.c.notices))
"""The account, unless it has turned off the notices of devices."""
