"""SQL of verified emails, changes of the email, and tokens that are sent by mail."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    Select,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)

from taskapi.auth.emails.models import CHANGE, RESET, UNDO, VERIFY, EmailChange, EmailToken
from taskapi.auth.emails.reservations import is_reserved
from taskapi.auth.models import Session, User
from taskapi.auth.oidc.queries import remove_identities
from taskapi.auth.queries import ACCOUNT_COLUMNS, EXPIRY, IS_CALLER, revoke_all
from taskapi.auth.second_factor.queries import remove, remove_recent
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.extensions import table_of

_users, _sessions = table_of(User), table_of(Session)
_changes, _tokens = table_of(EmailChange), table_of(EmailToken)

_user_id = bindparam("user_id", type_=BigInteger)
_change_id = bindparam("change_id", type_=BigInteger)
_email = bindparam("email", type_=Text)
_token_hash = bindparam("token_hash", type_=LargeBinary)
_hashed_password = bindparam("hashed_password", type_=Text)
_is_open = and_(_users.c.email.is_not(None), _users.c.is_active)
_is_pending = and_(_changes.c.confirmed_at.is_(None), _changes.c.expires_at > func.now())
_is_of_user = _changes.c.user_id == _user_id


def _new_token(purpose: str, *conditions: ColumnElement[bool]) -> Statement:
    """Stores a token for the email of the account, if it meets these conditions."""
    names = ["user_id", "purpose", "token_hash", "email", "expires_at"]
    values = select(_users.c.id, literal(purpose, Text), _token_hash, _users.c.email, EXPIRY)
    return _inserted(names, values.where(_users.c.id == _user_id, _is_open, *conditions))


def _new_token_of_change(
    purpose: str, email: ColumnElement[str], *conditions: ColumnElement[bool]
) -> Statement:
    """Stores a token for one of the addresses of a change that meets these conditions."""
    names = ["user_id", "purpose", "token_hash", "email", "change_id", "expires_at"]
    purpose_ = literal(purpose, Text)
    values = (
        select(
            _changes.c.user_id, purpose_, _token_hash, email, _changes.c.id, _changes.c.expires_at
        )
        .join(_users, _users.c.id == _changes.c.user_id)
        .where(_changes.c.id == _change_id, _changes.c.expires_at > func.now(), _is_open)
        .where(*conditions)
    )
    return _inserted(names, values)


def _inserted(names: list[str], values: Select[Any]) -> Statement:
    new = insert(_tokens).from_select(names, values, include_defaults=False)
    return Statement(new.returning(_tokens.c.email), writes=True)


verification_token = _new_token(VERIFY, ~_users.c.email_verified)
"""Stores a token that verifies the email; no row if it is verified."""

reset_token = _new_token(RESET)
"""Stores a token that resets the password; no row if there is no such active account."""

change_token = _new_token_of_change(CHANGE, _changes.c.new_email, _changes.c.confirmed_at.is_(None))
"""Stores a token that confirms a change; no row if it is not pending."""

undo_token = _new_token_of_change(UNDO, _changes.c.old_email, _changes.c.confirmed_at.is_not(None))
"""Stores a token that undoes a change; no row if it cannot be undone."""

pending_change = Statement(
    select(
        _changes.c.user_id,
        _changes.c.new_email,
        or_(
            exists().where(_users.c.email == _changes.c.new_email),
            is_reserved(_changes.c.new_email, _changes.c.user_id),
        ).label("is_taken"),
    ).where(_changes.c.id == _change_id, _is_pending)
)
"""The account and the new address of a pending change, and whether another account has that."""

confirmed_change = Statement(
    select(_changes.c.old_email).where(
        _changes.c.id == _change_id, _changes.c.confirmed_at.is_not(None)
    )
)
"""The old address of a confirmed change."""

find_token = Statement(
    select(
        _tokens.c.user_id,
        _tokens.c.purpose,
        _tokens.c.email,
        func.coalesce(_tokens.c.change_id, literal_column("0", BigInteger)).label("change_id"),
    ).where(_tokens.c.token_hash == _token_hash, _tokens.c.expires_at > func.now())
)
"""A token that has not expired."""

take_token = Statement(
    delete(_tokens)
    .where(_tokens.c.token_hash == _token_hash, _tokens.c.expires_at > func.now())
    .returning(_tokens.c.id),
    writes=True,
)
"""Deletes a token that has not expired; no row if another request has used it."""

lock_account = Statement(
    select(_users.c.email, _users.c.email_verified)
    .where(_users.c.id == _user_id, _is_open)
    .with_for_update(),
    writes=True,
)
"""Locks an active account. Logins and other uses of tokens of the account wait."""

active_account = Statement(select(_users.c.id).where(_users.c.email == _email, _users.c.is_active))
"""The active account with this email."""

set_verified = Statement(
    update(_users)
    .values(email_verified=true(), updated_at=func.now())
    .where(_users.c.id == _user_id)
    .returning(*ACCOUNT_COLUMNS),
    writes=True,
)
"""Sets that an email is verified."""

set_email = Statement(
    update(_users)
    .values(email=_email, email_verified=true(), updated_at=func.now())
    .where(_users.c.id == _user_id, ~is_reserved(_email, _user_id))
    .returning(*ACCOUNT_COLUMNS),
    writes=True,
)
"""Sets a verified email; no row if it is reserved for another account."""

restore_email = Statement(
    update(_users)
    .values(
        email=_email,
        email_verified=true(),
        hashed_password=literal_column("''"),
        updated_at=func.now(),
    )
    .where(_users.c.id == _user_id)
    .returning(_users.c.id),
    writes=True,
)
"""Sets an earlier email again, and removes the password, which somebody else may know."""

reset_password = Statement(
    update(_users)
    .values(
        hashed_password=bindparam("new_hash", type_=Text),
        email_verified=true(),
        updated_at=func.now(),
    )
    .where(_users.c.id == _user_id)
    .returning(_users.c.id),
    writes=True,
)
"""Sets a password. The email is verified, because the token was sent to it."""

request_change = Statement(
    insert(_changes)
    .from_select(
        ["user_id", "old_email", "new_email", "expires_at"],
        select(_users.c.id, _users.c.email, _email, EXPIRY).where(
            IS_CALLER, _users.c.hashed_password == _hashed_password, _users.c.email != _email
        ),
        include_defaults=False,
    )
    .returning(_changes.c.id),
    writes=True,
)
"""Stores a change that the caller requests, unless the password has changed meanwhile."""

confirm_change = Statement(
    update(_changes)
    .values(confirmed_at=func.now(), expires_at=EXPIRY)
    .where(_changes.c.id == _change_id, _is_pending)
    .returning(_changes.c.old_email, _changes.c.new_email),
    writes=True,
)
"""Confirms a pending change."""

delete_pending_changes = Statement(
    delete(_changes).where(_is_of_user, _changes.c.confirmed_at.is_(None)).returning(_changes.c.id),
    writes=True,
)
"""Deletes the pending changes of an account, with their tokens."""

delete_changes_since = Statement(
    delete(_changes).where(_is_of_user, _changes.c.id >= _change_id).returning(_changes.c.id),
    writes=True,
)
"""Deletes a change and all later ones of the account, with their tokens."""

_left = _changes.alias("left")
_first_left = (
    select(func.min(_left.c.id))
    .where(_left.c.user_id == _user_id, _left.c.old_email == _email)
    .where(_left.c.confirmed_at.is_not(None), _left.c.expires_at > func.now())
    .scalar_subquery()
)
delete_changes_from = Statement(
    delete(_changes)
    .where(_is_of_user, _changes.c.id >= _first_left, _changes.c.id < _change_id)
    .returning(_changes.c.id),
    writes=True,
)
"""Deletes the changes from an email that can still be restored, before another change to it."""

void_tokens = Statement(
    delete(_tokens)
    .where(_tokens.c.user_id == _user_id, _tokens.c.purpose != literal(UNDO, Text))
    .returning(_tokens.c.id),
    writes=True,
)
"""Deletes the tokens of an account, except those that undo a change of the email."""

end_logins = Statement(
    update(_sessions)
    .values(
        # The one that is not null. Citus refuses coalesce with a function that is not immutable.
        revoked_at=func.least(_sessions.c.revoked_at, func.now()),
        family_hash=literal_column("''::bytea", LargeBinary),
    )
    .where(_sessions.c.user_id == _user_id, _sessions.c.family_hash.is_not(None))
    .returning(_sessions.c.id),
    writes=True,
)
"""Ends all logins of an account, and makes its devices unknown: see `known_device`."""

OTHER_ACCESS = (revoke_all, remove, remove_identities)
"""Statements that revoke what else grants access to an account, given `user_id`."""

OTHER_ACCESS_BEFORE_UNDO = (revoke_all, remove_recent, remove_identities)
"""The same, when a change of the email is undone.

A second factor that is older stays: the old address may have another owner now.
"""

tokens_purge = Purge(_tokens, _tokens.c.expires_at <= func.now())
"""Deletes expired tokens."""

changes_purge = Purge(_changes, _changes.c.expires_at <= func.now())
"""Deletes changes that can be neither confirmed nor undone any more."""
