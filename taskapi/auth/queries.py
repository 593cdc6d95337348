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
    delete,
    false,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.dialects.postgresql import insert as upsert

from taskapi.auth.models import Session, User
from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.db.purging import Purge
from taskapi.db.quotas import QUOTAS
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ONE, SESSION_ID, USER_ID, WORKSPACE_ID, has_live_session
from taskapi.extensions import table_of
from taskapi.tasks.lists.models import List
from taskapi.workspaces.models import Workspace

_users, _sessions = table_of(User), table_of(Session)
_workspaces, _lists = table_of(Workspace), table_of(List)

REFRESH_GRACE_SECONDS = 10
"""The time after a rotation in which the previous token returns the same successor."""

_INBOX_NAME = "Inbox"
_WORKSPACE_NAME = "Personal"

_SECOND = literal_column("interval '1 second'", Interval)
_KEPT_AFTER_END = literal_column("interval '30 days'", Interval)

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
"""Most rows of an account are deleted before; deep subtasks may be left."""

_shown = (_users.c.id, _users.c.email, _users.c.created_at)
_is_caller = and_(_users.c.id == USER_ID, has_live_session())
_is_callers = and_(_sessions.c.user_id == USER_ID, has_live_session())
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


def _personal_workspace(account: CTE) -> list[CTE]:
    """The workspace of a new account, and the inbox in it: both have the account's id."""
    name, inbox = literal(_WORKSPACE_NAME, Text), literal(_INBOX_NAME, Text)
    version = literal_column("0", BigInteger)
    workspace = insert(_workspaces).from_select(
        ["id", "owner_id", "name", "list_count"],
        select(account.c.id, account.c.id.label("owner_id"), name, ONE),
        include_defaults=False,
    )
    first_list = insert(_lists).from_select(
        ["workspace_id", "id", "user_id", "name", "version"],
        select(account.c.id, account.c.id.label("list_id"), account.c.id, inbox, version),
        include_defaults=False,
    )
    return [workspace.cte("workspace"), first_list.cte("inbox")]


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
    """An account whose email no other account has."""
    return (
        upsert(_users)
        .values(email=_email, hashed_password=_hashed_password)
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(*_shown)
        .cte("account")
    )


def _close_account(*conditions: ColumnElement[bool]) -> Statement:
    """Takes the email and the password from the account that meets these conditions."""
    values = {"email": null(), "hashed_password": literal_column("''"), "is_active": false()}
    closed = (
        update(_users)
        .values(**values, updated_at=func.now())
        .where(*conditions, _users.c.email.is_not(None))
    )
    return Statement(closed.returning(_users.c.id), writes=True)


def _end_sessions(*conditions: ColumnElement[bool], independent: bool = False) -> Statement:
    """Ends the sessions that meet these conditions."""
    ended = update(_sessions).values(revoked_at=func.now()).where(*conditions)
    return Statement(ended.returning(_sessions.c.id), writes=True, independent=independent)


def _register() -> Statement:
    account = _new_account()
    session = _new_session(account)
    return Statement(
        select(*account.c, session.c.session_id)
        .join(session, true())
        .add_cte(*_personal_workspace(account)),
        writes=True,
    )


def _add_user() -> Statement:
    account = _new_account()
    return Statement(select(account.c.id).add_cte(*_personal_workspace(account)), writes=True)


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

credentials = Statement(
    select(_users.c.id, _users.c.hashed_password, _users.c.is_active).where(
        _users.c.email == _email
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

live_session = Statement(
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
"""The live session that a refresh token belongs to, whether or not it is the current one."""

known_device = Statement(
    select(_sessions.c.id)
    .join(_users, _users.c.id == _sessions.c.user_id)
    .where(_named_session, _users.c.email == _email)
)
"""The session, live or ended, that a refresh token belongs to, if it is one of this account."""

revoke = _end_sessions(
    _sessions.c.user_id == _user_id,
    _sessions.c.id == _session_id,
    _sessions.c.revoked_at.is_(None),
    independent=True,
)
"""Ends a session, for a logout or because of a reused refresh token."""

revoke_all = _end_sessions(_sessions.c.user_id == _user_id, _sessions.c.revoked_at.is_(None))
"""End every session of an account."""

revoke_others = _end_sessions(
    _sessions.c.user_id == _user_id, _sessions.c.id != _session_id, _sessions.c.revoked_at.is_(None)
)
"""End every session of an account but one, even if that one has ended meanwhile."""

own_user = Statement(
    select(*_shown, *(_workspaces.c[quota.total] for quota in QUOTAS))
    .join(_workspaces, _workspaces.c.id == WORKSPACE_ID)
    .where(_is_caller)
)
"""The caller's account, and the totals of its workspace that have quotas."""

own_password = Statement(select(_users.c.hashed_password).where(_is_caller))
"""The hash that the caller's password is checked against."""

set_own_password = Statement(
    update(_users)
    .values(hashed_password=_new_hash, updated_at=func.now())
    .where(_is_caller, _users.c.hashed_password == _hashed_password)
    .returning(_users.c.id),
    writes=True,
)
"""Change the caller's password, unless it was changed since it was checked."""

close_own_account = _close_account(_is_caller, _users.c.hashed_password == _hashed_password)
"""Close the caller's account, unless its password was changed since it was checked."""

end_own_session = _end_sessions(_is_callers, _sessions.c.id == _session_id, _lives)
"""End one of the caller's sessions."""

end_other_sessions = _end_sessions(_is_callers, _sessions.c.id != SESSION_ID, _lives)
"""End the caller's sessions but the one that asks."""

SESSION_SORTS = {"created_at": BY_CREATION}


_LIMIT = bindparam("limit", type_=BigInteger)


@cache
def session_page(ordering: Ordering) -> Statement:
    """A page of the caller's live sessions; each row begins with how many there are.

    A page without rows has one row, whose other columns are null.
    """
    own = _sessions.alias("own")
    total = select(func.count()).where(_sessions.c.user_id == USER_ID, _lives).scalar_subquery()
    ((conditions, order),) = ordering.runs(_sessions)
    page = (
        select(*_sessions.c)
        .where(_sessions.c.user_id == USER_ID, _lives, *conditions)
        .order_by(*order)
        .limit(_LIMIT)
        .subquery("page")
    )
    is_own = and_(own.c.user_id == USER_ID, own.c.id == SESSION_ID, has_live_session())
    return Statement(
        select(total.label("total"), *page.c)
        .select_from(own.outerjoin(page, true()))
        .where(is_own)
        .order_by(*ordering.order(page))
    )


_described = (
    *_shown,
    _users.c.is_active,
    _workspaces.c.task_count,
    _workspaces.c.completed_task_count,
)

add_user = _add_user()
"""A new account without a session; no row when the email is taken."""

some_users = Statement(
    select(*_described)
    .join(_workspaces, _workspaces.c.id == _users.c.id)
    .where(_users.c.id > bindparam("after_id", type_=BigInteger), _users.c.email.is_not(None))
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
    )
    .join(_workspaces, _workspaces.c.id == _users.c.id)
    .where(_users.c.email == _email)
)
"""An account with the number of its live sessions."""

end_sessions = _end_sessions(
    _sessions.c.user_id > bindparam("after_id", type_=BigInteger),
    _sessions.c.user_id <= bindparam("last_id", type_=BigInteger),
    _lives,
)
"""End the live sessions of the accounts after one up to another."""

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

close_account = _close_account(_users.c.id == _user_id)
"""Close an account."""

closed_accounts = Statement(select(_users.c.id).where(_users.c.email.is_(None)))
"""The closed accounts, whose rows are still to be deleted."""

delete_account = Statement(
    delete(_users).where(_users.c.id == _user_id, _users.c.email.is_(None)).returning(_users.c.id),
    writes=True,
    seconds=_DELETION_SECONDS,
)
"""Delete a closed account and, by foreign keys, the rows that it still has."""
