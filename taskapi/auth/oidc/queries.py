"""SQL of identities and of codes for front ends."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    LargeBinary,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from taskapi.auth.models import User
from taskapi.auth.oidc.models import LinkedIdentity, SignInCode
from taskapi.auth.queries import IS_CALLER, SECOND
from taskapi.auth.second_factor.models import SecondFactor
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USER_ID
from taskapi.extensions import table_of

_users, _factors = table_of(User), table_of(SecondFactor)
_identities, _codes = table_of(LinkedIdentity), table_of(SignInCode)

_user_id = bindparam("user_id", type_=BigInteger)
_issuer = bindparam("issuer", type_=Text)
_subject = bindparam("subject", type_=Text)
_email = bindparam("email", type_=Text)
_code_hash = bindparam("code_hash", type_=LargeBinary)

IDENTITY_COLUMNS = (
    _identities.c.id,
    _identities.c.issuer,
    _identities.c.subject,
    _identities.c.email,
    _identities.c.created_at,
)
_ACCOUNT_COLUMNS = (
    _users.c.id,
    _users.c.email,
    _users.c.hashed_password,
    _users.c.is_active,
    _users.c.email_verified,
)
_is_identity = and_(_identities.c.issuer == _issuer, _identities.c.subject == _subject)


def _code_columns(codes: FromClause) -> list[ColumnElement[Any]]:
    named = [codes.c[name] for name in ("challenge", "issuer", "subject", "email")]
    return [*named, (codes.c.expires_at > func.now()).label("is_valid")]


store_code = Statement(
    insert(_codes)
    .values(
        code_hash=_code_hash,
        challenge=bindparam("challenge", type_=Text),
        issuer=_issuer,
        subject=_subject,
        email=_email,
        expires_at=func.now() + bindparam("seconds", type_=BigInteger) * SECOND,
    )
    .returning(_codes.c.code_hash),
    writes=True,
)
"""Stores the hash of a code with the identity that it stands for."""


def _redeem_code() -> Statement:
    gone = delete(_codes).where(_codes.c.code_hash == _code_hash).returning(*_codes.c).cte("gone")
    # Not in RETURNING, where Citus supports only immutable functions.
    return Statement(select(*_code_columns(gone)), writes=True)


redeem_code = _redeem_code()
"""Deletes a code, and returns what it stands for."""

find_code = Statement(select(*_code_columns(_codes)).where(_codes.c.code_hash == _code_hash))
"""What a code stands for."""

codes_purge = Purge(_codes, _codes.c.expires_at <= func.now())
"""Deletes the expired codes."""


def _second_factor(*conditions: ColumnElement[bool]) -> Statement:
    """The account with these conditions, and its second factor, which is null if it is off."""
    is_on = and_(_factors.c.user_id == _users.c.id, _factors.c.confirmed_at.is_not(None))
    return Statement(
        select(
            _users.c.id,
            _factors.c.created_at.label("factor_created_at"),
            _factors.c.encrypted_secret,
            _factors.c.last_step,
        )
        .select_from(_users.outerjoin(_factors, is_on))
        .where(*conditions)
    )


factor_of_identity = _second_factor(
    _users.c.id.in_(select(_identities.c.user_id).where(_is_identity))
)
"""The account that an identity is linked to, and its second factor."""

factor_of_email = _second_factor(_users.c.email == _email, _users.c.email_verified)
"""The account with a verified email, and its second factor."""

account_of_identity = Statement(
    select(*_ACCOUNT_COLUMNS)
    .join(_identities, _identities.c.user_id == _users.c.id)
    .where(_is_identity)
)
"""The account that an identity is linked to."""

account_of_email = Statement(
    select(*_ACCOUNT_COLUMNS)
    .where(_users.c.email == _email)
    .with_for_update(key_share=True, of=_users),
    writes=True,
)
"""The account with an email, locked."""

own_account = Statement(select(*_ACCOUNT_COLUMNS).where(IS_CALLER))
"""The caller's account; no row if the session has ended."""

link = Statement(
    upsert(_identities)
    .values(user_id=_user_id, issuer=_issuer, subject=_subject, email=_email)
    .on_conflict_do_nothing(index_elements=["issuer", "subject"])
    .returning(*IDENTITY_COLUMNS),
    writes=True,
)
"""Links an identity to an account; no row if it is linked already."""

own_identity = Statement(
    select(*IDENTITY_COLUMNS).where(_identities.c.user_id == USER_ID, _is_identity)
)
"""An identity, if it is linked to the caller's account."""

own_identities = Statement(
    select((_users.c.hashed_password != literal_column("''")).label("has_password"))
    .add_columns(*IDENTITY_COLUMNS)
    .select_from(_users.outerjoin(_identities, _identities.c.user_id == _users.c.id))
    .where(IS_CALLER)
    .order_by(_identities.c.id)
)
"""Whether the caller has a password, and the caller's identities.

One row with nulls if there are no identities, and no row without a session.
"""

count_identities = Statement(
    select(func.count().label("count")).where(_identities.c.user_id == _user_id)
)
"""The number of an account's identities."""

remove = Statement(
    delete(_identities)
    .where(
        _identities.c.user_id == USER_ID,
        _identities.c.id == bindparam("identity_id", type_=BigInteger),
    )
    .returning(_identities.c.id),
    writes=True,
)
"""Removes one of the caller's identities."""

remove_identities = Statement(
    delete(_identities).where(_identities.c.user_id == _user_id).returning(_identities.c.id),
    writes=True,
)
"""Removes all identities of an account."""
