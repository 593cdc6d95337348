"""The statements on accounts and sessions."""

from __future__ import annotations

from functools import cache

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Interval,
    LargeBinary,
    String,
    Text,
    and_,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    table,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.dialects.postgresql import insert as upsert

from taskapi.auth.models import Email, Session, User
from taskapi.core.owned_table import OwnedTable
from taskapi.core.ownership import own_account, owned, owner_of_email
from taskapi.core.pagination import IN_ORDER_OF_CREATION, Reading
from taskapi.core.purging import Purge
from taskapi.core.statement import Statement
from taskapi.extensions import table_of

# What an account begins with, of the tables that the lists' feature owns.
_lists = table("lists", *(column(name) for name in ("user_id", "id", "name")))

_users, _emails, _sessions = table_of(User), table_of(Email), table_of(Session)

REFRESH_GRACE_SECONDS = 10
"""For so long after a rotation the token before it still answers, with the same successor."""

_INBOX_NAME = "Inbox"

_SECOND = literal_column("interval '1 second'", Interval)
_KEPT_AFTER_END = literal_column("interval '30 days'", Interval)

_NEXT_ID = literal_column("nextval(pg_get_serial_sequence('users', 'id'))", BigInteger)

_user_id = bindparam("user_id", type_=BigInteger)
_session_id = bindparam("session_id", type_=BigInteger)
_email = bindparam("email", type_=Text)
_hashed_password = bindparam("hashed_password", type_=Text)
_new_hash = bindparam("new_hash", type_=Text)
_refresh_hash = bindparam("refresh_hash", type_=LargeBinary)
_next_hash = bindparam("next_hash", type_=LargeBinary)
_family_hash = bindparam("family_hash", type_=LargeBinary)
_expiry = func.now() + cast(bindparam("lifetime", type_=BigInteger), BigInteger) * _SECOND

_DELETION_SECONDS = 25.0
"""An account may have very many rows."""

_shown = (_users.c.id, _users.c.email, _users.c.created_at)
_lives = and_(_sessions.c.revoked_at.is_(None), _sessions.c.expires_at > func.now())
_is_long_over = or_(
    _sessions.c.expires_at < func.now() - _KEPT_AFTER_END,
    _sessions.c.revoked_at < func.now() - _KEPT_AFTER_END,
)
_named_session = and_(
    _sessions.c.user_id == _user_id,
    _sessions.c.id == _session_id,
    _sessions.c.family_hash == _family_hash,
)


def _inbox_of(account: CTE) -> CTE:
    """The list that an account begins with."""
    begins = select(account.c.id, account.c.id, literal(_INBOX_NAME, Text))
    return insert(_lists).from_select(["user_id", "id", "name"], begins).cte("inbox")


def _new_session(account: CTE) -> CTE:
    """A session for the account that another part of the statement gives."""
    return (
        insert(_sessions)
        .from_select(
            ["user_id", "family_hash", "refresh_hash", "user_agent", "address", "expires_at"],
            select(
                account.c.id,
                _family_hash,
                _refresh_hash,
                bindparam("user_agent", type_=String),
                cast(bindparam("address", type_=String), INET),
                _expiry,
            ),
            include_defaults=False,
        )
        .returning(_sessions.c.id.label("session_id"))
        .cte("session")
    )


def _new_account() -> CTE:
    """An account whose email nobody has. The email comes first, for it decides between two."""
    claimed = (
        upsert(_emails)
        .values(email=_email, user_id=_NEXT_ID)
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(_emails.c.user_id, _emails.c.email)
        .cte("claimed")
    )
    return (
        insert(_users)
        .from_select(
            ["id", "email", "hashed_password"],
            select(claimed.c.user_id, claimed.c.email, _hashed_password),
            include_defaults=False,
        )
        .returning(*_shown)
        .cte("account")
    )


def _delete_account(*conditions: ColumnElement[bool]) -> Statement:
    """Delete the account that meets these, its email, and by foreign keys all that it owns."""
    account = (
        delete(_users).where(*conditions).returning(_users.c.id, _users.c.email).cte("account")
    )
    freed = (
        delete(_emails)
        .where(_emails.c.email == account.c.email, _emails.c.user_id == account.c.id)
        .cte("freed")
    )
    return Statement(select(account.c.id).add_cte(freed), writes=True, seconds=_DELETION_SECONDS)


def _register() -> Statement:
    account = _new_account()
    session = _new_session(account)
    return Statement(
        select(*account.c, session.c.session_id).join(session, true()).add_cte(_inbox_of(account)),
        writes=True,
    )


def _add_user() -> Statement:
    account = _new_account()
    return Statement(select(account.c.id).add_cte(_inbox_of(account)), writes=True)


def _open_session() -> Statement:
    # The share lock makes a login and a change of password or a deactivation follow each other.
    account = (
        select(*_shown)
        .where(
            _users.c.id == _user_id,
            _users.c.hashed_password == _hashed_password,
            _users.c.is_active,
        )
        .with_for_update(read=True)
        .cte("account")
    )
    swept = delete(_sessions).where(_sessions.c.user_id == _user_id, _is_long_over).cte("swept")
    session = _new_session(account)
    shown = select(*account.c, session.c.session_id).join(session, true())
    return Statement(shown.add_cte(swept), writes=True)


sessions_purge = Purge(_sessions, _is_long_over)
"""Deletes sessions that ended thirty days ago or more."""

register = _register()
"""A new account with its first session; no row when the email is taken."""

_owner = owner_of_email()

credentials = Statement(
    select(_users.c.id, _users.c.hashed_password, _users.c.is_active).join(
        _owner, _owner.c.user_id == _users.c.id
    )
)
"""What a login is checked against."""

open_session = _open_session()
"""A session for an active account that still has the password which was checked."""

rotate = Statement(
    update(_sessions)
    .values(
        refresh_hash=_next_hash,
        last_used_at=func.now(),
        expires_at=_expiry,
    )
    .where(
        _named_session,
        _sessions.c.refresh_hash == _refresh_hash,
        _lives,
        _users.c.id == _sessions.c.user_id,
    )
    .returning(*_shown),
    writes=True,
)
"""Put the next refresh token in the place of the present one; no row when it is another."""

rotated_before = Statement(
    select(
        *_shown,
        _sessions.c.refresh_hash,
        (_sessions.c.last_used_at > func.now() - literal(REFRESH_GRACE_SECONDS) * _SECOND).label(
            "is_recent"
        ),
    )
    .join(_users, _users.c.id == _sessions.c.user_id)
    .where(_named_session, _lives)
)
"""The live session of a token that is not, or no longer, the present one."""

revoke = Statement(
    update(_sessions)
    .values(revoked_at=func.now())
    .where(
        _sessions.c.user_id == _user_id,
        _sessions.c.id == _session_id,
        _sessions.c.revoked_at.is_(None),
    )
    .returning(_sessions.c.id),
    writes=True,
    stands_alone=True,
)
"""End a session, whoever asks: for logout and for a reused refresh token, which is refused."""

revoke_all = Statement(
    update(_sessions)
    .values(revoked_at=func.now())
    .where(_sessions.c.user_id == _user_id, _sessions.c.revoked_at.is_(None))
    .returning(_sessions.c.id),
    writes=True,
)
"""End every session of an account."""

revoke_others = Statement(
    update(_sessions)
    .values(revoked_at=func.now())
    .where(
        _sessions.c.user_id == _user_id,
        _sessions.c.id != _session_id,
        _sessions.c.revoked_at.is_(None),
    )
    .returning(_sessions.c.id),
    writes=True,
)
"""End every session of an account but one, even if that one has ended meanwhile."""

own_user = Statement(select(*_shown).where(own_account(_users)))
"""The caller's account."""

own_password = Statement(select(_users.c.hashed_password).where(own_account(_users)))
"""The hash that the caller's password is checked against."""

set_own_password = Statement(
    update(_users)
    .values(hashed_password=_new_hash, updated_at=func.now())
    .where(own_account(_users), _users.c.hashed_password == _hashed_password)
    .returning(_users.c.id),
    writes=True,
)
"""Change the caller's password, unless it was changed since it was checked."""

delete_own_user = _delete_account(own_account(_users), _users.c.hashed_password == _hashed_password)
"""Delete the caller's account, unless its password was changed since it was checked."""

end_own_session = Statement(
    update(_sessions)
    .values(revoked_at=func.now())
    .where(owned(_sessions), _sessions.c.id == _session_id, _lives)
    .returning(_sessions.c.id),
    writes=True,
)
"""End one of the caller's sessions."""

end_other_sessions = Statement(
    update(_sessions)
    .values(revoked_at=func.now())
    .where(owned(_sessions), _sessions.c.id != bindparam("caller_session_id"), _lives)
    .returning(_sessions.c.id),
    writes=True,
)
"""End the caller's sessions but the one that asks."""

SESSION_SORTS = {"created_at": IN_ORDER_OF_CREATION}


@cache
def session_page(reading: Reading) -> Statement:
    """A page of the caller's live sessions."""
    return OwnedTable(_sessions, "session").page(reading, parts=[_lives])


_described = (*_shown, _users.c.is_active, _users.c.task_count, _users.c.completed_task_count)

add_user = _add_user()
"""A new account without a session; no row when the email is taken."""

some_users = Statement(
    select(*_described)
    .where(_users.c.id > bindparam("after_id", type_=BigInteger))
    .order_by(_users.c.id)
    .limit(bindparam("limit", type_=BigInteger))
)
"""The accounts after one, in the order of their ids."""

described_user = Statement(
    select(
        *_described,
        select(func.count())
        .where(_sessions.c.user_id == _users.c.id, _lives)
        .scalar_subquery()
        .label("session_count"),
    ).join(_owner, _owner.c.user_id == _users.c.id)
)
"""An account with the number of its live sessions."""

set_user_password = Statement(
    update(_users)
    .values(hashed_password=_new_hash, updated_at=func.now())
    .where(_users.c.id == _user_id)
    .returning(_users.c.id),
    writes=True,
)
"""Another password for an account, whatever the one before."""

set_user_active = Statement(
    update(_users)
    .values(is_active=bindparam("active", type_=Boolean), updated_at=func.now())
    .where(_users.c.id == _user_id)
    .returning(_users.c.id),
    writes=True,
)
"""Whether an account may log in."""

delete_user = _delete_account(_users.c.id == _user_id)
"""Delete an account."""
