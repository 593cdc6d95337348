"""SQL of accounts and sessions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

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
    exists,
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

from taskapi.auth.emails.reservations import is_reserved
from taskapi.auth.models import LOGIN, Session, User
from taskapi.auth.second_factor.models import SecondFactor
from taskapi.db.names import name_key
from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ONE, SESSION_ID, USER_ID, has_live_session
from taskapi.extensions import table_of
from taskapi.tasks.lists.models import List
from taskapi.workspaces.models import Workspace

_users, _sessions = table_of(User), table_of(Session)
_factors = table_of(SecondFactor)
_workspaces, _lists = table_of(Workspace), table_of(List)

_INBOX_NAME = "Inbox"
_WORKSPACE_NAME = "Personal"

SECOND = literal_column("interval '1 second'", Interval)
_RETENTION = literal_column("interval '30 days'", Interval)

_user_id = bindparam("user_id", type_=BigInteger)
_session_id = bindparam("session_id", type_=BigInteger)
_email = bindparam("email", type_=Text)
_hashed_password = bindparam("hashed_password", type_=Text)
_new_hash = bindparam("new_hash", type_=Text)
_refresh_hash = bindparam("refresh_hash", type_=LargeBinary)
_family_hash = bindparam("family_hash", type_=LargeBinary)
# False where a login does not know about second factors: it then fails if there is one.
_is_proven = bindparam("is_proven", value=False, type_=Boolean)
EXPIRY = func.now() + cast(bindparam("lifetime", type_=BigInteger), BigInteger) * SECOND

_DELETION_SECONDS = 25.0
"""For the rows of an account that the small steps have left, such as deep subtasks."""

ACCOUNT_COLUMNS = (_users.c.id, _users.c.email, _users.c.email_verified, _users.c.created_at)
IS_CALLER = and_(_users.c.id == USER_ID, has_live_session())
_is_of_caller = and_(_sessions.c.user_id == USER_ID, has_live_session())
_has_factor = and_(_factors.c.user_id == _users.c.id, _factors.c.confirmed_at.is_not(None))
IS_LIVE = and_(_sessions.c.revoked_at.is_(None), _sessions.c.expires_at > func.now())
IS_LOGIN = _sessions.c.kind == literal_column(f"'{LOGIN}'", Text)
ENDED_LONG_AGO = or_(
    _sessions.c.expires_at < func.now() - _RETENTION,
    _sessions.c.revoked_at < func.now() - _RETENTION,
)


def _personal_workspace(account: CTE) -> list[CTE]:
    """The personal workspace of a new account, and its inbox. Both have the account's ID."""
    name, inbox = literal(_WORKSPACE_NAME, Text), literal(_INBOX_NAME, Text)
    inbox_key = literal(name_key(_INBOX_NAME), Text).label("name_key")
    ids = (account.c.id, account.c.id.label("list_id"), account.c.id)
    workspace = insert(_workspaces).from_select(
        ["id", "owner_id", "name", "list_count"],
        select(account.c.id, account.c.id.label("owner_id"), name, ONE),
        include_defaults=False,
    )
    first_list = insert(_lists).from_select(
        ["workspace_id", "id", "user_id", "name", "name_key", "version"],
        select(*ids, inbox, inbox_key, literal_column("0", BigInteger)),
        include_defaults=False,
    )
    return [workspace.cte("workspace"), first_list.cte("inbox")]


def _new_session(account: CTE) -> CTE:
    """A session for the account of another part of the statement."""
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
                EXPIRY,
            ),
            include_defaults=False,
        )
        .returning(_sessions.c.id.label("session_id"))
        .cte("session")
    )


def _new_account() -> CTE:
    """An account whose email no other account has or can get back."""
    return (
        upsert(_users)
        .from_select(
            ["email", "hashed_password"],
            select(_email, _hashed_password).where(~is_reserved(_email)),
            include_defaults=False,
        )
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(*ACCOUNT_COLUMNS)
        .cte("account")
    )


def _close_account(*conditions: ColumnElement[bool]) -> Statement:
    """Takes the email, the name and the password from the account that meets these conditions."""
    values = {
        "email": null(),
        "name": null(),
        "hashed_password": literal_column("''"),
        "is_active": false(),
    }
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
    # The share lock serializes a login with a change of the password or a deactivation.
    account = (
        select(*ACCOUNT_COLUMNS)
        .where(
            _users.c.id == _user_id,
            _users.c.hashed_password == _hashed_password,
            _users.c.is_active,
            or_(_is_proven, ~exists().where(_has_factor)),
        )
        .with_for_update(read=True)
        .cte("account")
    )
    beyond_quota = (
        select(_sessions.c.id)
        .where(_sessions.c.user_id == _user_id, IS_LOGIN)
        .order_by(_sessions.c.last_used_at.desc(), _sessions.c.id.desc())
        .offset(bindparam("quota_sessions", type_=BigInteger) - ONE)
    )
    swept = (
        delete(_sessions)
        .where(_sessions.c.user_id == _user_id)
        .where(or_(ENDED_LONG_AGO, _sessions.c.id.in_(beyond_quota)))
        .cte("swept")
    )
    session = _new_session(account)
    created = select(*account.c, session.c.session_id).join(session, true())
    return Statement(created.add_cte(swept), writes=True)


sessions_purge = Purge(_sessions, ENDED_LONG_AGO)
"""Deletes sessions that ended 30 days ago or earlier."""

register = _register()
"""Creates an account and its first session; no row if the email is taken."""

credentials = Statement(
    select(
        _users.c.id,
        _users.c.hashed_password,
        _users.c.is_active,
        _factors.c.created_at.label("factor_created_at"),
        _factors.c.encrypted_secret,
        _factors.c.last_step,
    )
    .select_from(_users.outerjoin(_factors, _has_factor))
    .where(_users.c.email == _email)
)
"""The credentials that a login is verified against. Without a second factor, its part is null."""

open_session = _open_session()
"""Creates a session if the account is active and still has the verified password.

Unless a code was used, it must have no second factor.
Beyond the quota of sessions, it replaces those that have not been used for longest.
"""

revoke = _end_sessions(
    _sessions.c.user_id == _user_id,
    _sessions.c.id == _session_id,
    _sessions.c.revoked_at.is_(None),
    independent=True,
)
"""Ends a session, even if the request fails: for logout and for a reused refresh token."""

revoke_all = _end_sessions(_sessions.c.user_id == _user_id, _sessions.c.revoked_at.is_(None))
"""Ends all sessions of an account, and its personal access tokens."""

_is_other = and_(
    _sessions.c.user_id == _user_id, _sessions.c.id != _session_id, _sessions.c.revoked_at.is_(None)
)

revoke_others = _end_sessions(_is_other, IS_LOGIN)
"""Ends all logins of an account except one, even if that one has ended meanwhile."""

revoke_all_others = _end_sessions(_is_other)
"""The same, and revokes the personal access tokens of the account."""

own_password = Statement(select(_users.c.hashed_password).where(IS_CALLER))
"""The stored hash of the caller's password."""

set_own_password = Statement(
    update(_users)
    .values(hashed_password=_new_hash, updated_at=func.now())
    .where(IS_CALLER, _users.c.hashed_password == _hashed_password)
    .returning(_users.c.id),
    writes=True,
)
"""Changes the caller's password, unless it has changed since it was verified."""

close_own_account = _close_account(IS_CALLER, _users.c.hashed_password == _hashed_password)
"""Closes the caller's account, unless its password has changed since it was verified."""

end_own_session = _end_sessions(_is_of_caller, _sessions.c.id == _session_id, IS_LOGIN, IS_LIVE)
"""Ends one of the caller's logins."""

end_other_sessions = _end_sessions(_is_of_caller, _sessions.c.id != SESSION_ID, IS_LOGIN, IS_LIVE)
"""Ends the caller's other logins."""

SESSION_SORTS = {"created_at": BY_CREATION}


_LIMIT = bindparam("limit", type_=BigInteger)


def live_page(
    ordering: Ordering, kind: ColumnElement[bool], columns: Iterable[ColumnElement[Any]]
) -> Statement:
    """A page of the caller's live sessions of a kind. The first column is their total number.

    If the page is empty, there is one row, whose other columns are null.
    """
    own = _sessions.alias("own")
    is_shown = and_(_sessions.c.user_id == USER_ID, kind, IS_LIVE)
    total = select(func.count()).where(is_shown).scalar_subquery()
    ((conditions, order),) = ordering.runs(_sessions)
    page = (
        select(*columns)
        .where(is_shown, *conditions)
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


@cache
def session_page(ordering: Ordering) -> Statement:
    """A page of the caller's live logins: see `live_page`."""
    return live_page(ordering, IS_LOGIN, _sessions.c)


_description_columns = (
    *ACCOUNT_COLUMNS,
    _users.c.is_active,
    _workspaces.c.task_count,
    _workspaces.c.completed_task_count,
)

add_user = _add_user()
"""Creates an account without a session; no row if the email is taken."""

some_users = Statement(
    select(*_description_columns)
    .join(_workspaces, _workspaces.c.id == _users.c.id)
    .where(_users.c.id > bindparam("after_id", type_=BigInteger), _users.c.email.is_not(None))
    .order_by(_users.c.id)
    .limit(bindparam("limit", type_=BigInteger))
)
"""The next accounts in the order of their IDs."""

described_user = Statement(
    select(
        *_description_columns,
        select(func.count())
        .where(_sessions.c.user_id == _users.c.id, IS_LOGIN, IS_LIVE)
        .scalar_subquery()
        .label("session_count"),
        select(func.count())
        .where(_sessions.c.user_id == _users.c.id, ~IS_LOGIN, IS_LIVE)
        .scalar_subquery()
        .label("token_count"),
        exists().where(_has_factor).label("second_factor"),
    )
    .join(_workspaces, _workspaces.c.id == _users.c.id)
    .where(_users.c.email == _email)
)
"""An account with the numbers of its live logins and of its valid personal access tokens."""

end_sessions = _end_sessions(
    _sessions.c.user_id > bindparam("after_id", type_=BigInteger),
    _sessions.c.user_id <= bindparam("last_id", type_=BigInteger),
    IS_LIVE,
)
"""Ends the live sessions and the personal access tokens of a range of accounts."""

set_user_password = Statement(
    update(_users)
    .values(hashed_password=_new_hash, updated_at=func.now())
    .where(_users.c.id == _user_id)
    .returning(_users.c.id),
    writes=True,
)
"""Sets the password of an account."""

set_user_active = Statement(
    update(_users)
    .values(is_active=bindparam("active", type_=Boolean), updated_at=func.now())
    .where(_users.c.id == _user_id)
    .returning(_users.c.id),
    writes=True,
)
"""Activates or deactivates an account."""

close_account = _close_account(_users.c.id == _user_id)
"""Closes an account."""

closed_accounts = Statement(select(_users.c.id).where(_users.c.email.is_(None)))
"""The closed accounts, whose rows are still to be deleted."""

_deleted_account = (
    delete(_users).where(_users.c.id == _user_id, _users.c.email.is_(None)).returning(_users.c.id)
)

delete_account = Statement(_deleted_account, writes=True)
"""Deletes a closed account and, by foreign keys, its remaining rows."""

delete_large_account = Statement(_deleted_account, writes=True, seconds=_DELETION_SECONDS)
"""The same for `flask` commands, which have more time."""
