"""SQL of second factors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Interval,
    LargeBinary,
    Text,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from taskapi.auth.models import User
from taskapi.auth.queries import IS_CALLER
from taskapi.auth.second_factor.models import SecondFactor
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USER_ID, has_live_session
from taskapi.extensions import table_of

_users, _factors = table_of(User), table_of(SecondFactor)

_RECENT = literal_column("interval '14 days'", Interval)

_user_id = bindparam("user_id", type_=BigInteger)
_step = bindparam("step", type_=BigInteger)
_code_hash = bindparam("code_hash", type_=LargeBinary)
_recovery_hashes = bindparam("recovery_hashes", type_=ARRAY(LargeBinary))
_encrypted_secret = bindparam("encrypted_secret", type_=LargeBinary)
_hashed_password = bindparam("hashed_password", type_=Text)

_is_of_caller = and_(_factors.c.user_id == USER_ID, has_live_session())
_is_pending = _factors.c.confirmed_at.is_(None)
_is_current = _factors.c.created_at == bindparam("created_at", type_=DateTime(timezone=True))
_is_unused = or_(_factors.c.last_step < _step, _code_hash == any_(_factors.c.recovery_hashes))
_is_proven = and_(~_is_pending, _is_current, _is_unused)
_has_password = exists().where(_users.c.id == USER_ID, _users.c.hashed_password == _hashed_password)
_latest_step = func.greatest(_factors.c.last_step, _step)


def _enroll() -> Statement:
    account = (
        select(_users.c.id, _users.c.email)
        .where(IS_CALLER, _users.c.hashed_password == _hashed_password)
        .cte("account")
    )
    new = insert(_factors).from_select(
        ["user_id", "encrypted_secret", "created_at"],
        select(account.c.id, _encrypted_secret, func.now()),
        include_defaults=False,
    )
    enrolled = (
        new.on_conflict_do_update(
            index_elements=["user_id"],
            set_={
                "encrypted_secret": new.excluded.encrypted_secret,
                # Citus supports only immutable functions here.
                "created_at": new.excluded.created_at,
                "last_step": literal_column("0", BigInteger),
            },
            where=_is_pending,
        )
        .returning(_factors.c.user_id)
        .cte("enrolled")
    )
    return Statement(select(account.c.email).join(enrolled, true()), writes=True)


def _change(values: dict[str, Any], *conditions: ColumnElement[bool]) -> Statement:
    """Changes the second factor that meets these conditions. Returns the recovery codes left."""
    changed = update(_factors).values(values).where(*conditions)
    left = func.cardinality(_factors.c.recovery_hashes).label("recovery_codes_left")
    return Statement(changed.returning(left), writes=True)


def _remove(*conditions: ColumnElement[bool]) -> Statement:
    removed = delete(_factors).where(_factors.c.user_id == _user_id, *conditions)
    return Statement(removed.returning(_factors.c.confirmed_at), writes=True)


enroll = _enroll()
"""Stores a pending second factor, and replaces one.

No row if it is confirmed, or if the password has changed since it was verified.
"""

own_factor = Statement(
    select(
        _users.c.id.label("user_id"),
        _factors.c.encrypted_secret,
        _factors.c.created_at,
        _factors.c.last_step,
        _factors.c.confirmed_at,
    )
    .select_from(_users.outerjoin(_factors, _factors.c.user_id == _users.c.id))
    .where(IS_CALLER)
)
"""The caller's second factor. Its columns are null if there is none."""

confirm = _change(
    {
        "confirmed_at": func.now(),
        "last_step": _latest_step,
        "recovery_hashes": _recovery_hashes,
    },
    _is_of_caller,
    _is_pending,
    _is_current,
    _is_unused,
)
"""Turns the caller's pending second factor on by a code, and stores its recovery codes."""

use_code = _change(
    {
        "last_step": _latest_step,
        "recovery_hashes": func.array_remove(_factors.c.recovery_hashes, _code_hash),
    },
    _factors.c.user_id == _user_id,
    _is_proven,
)
"""Uses a code of an account. No row if it is wrong or was used."""

replace_recovery_codes = _change(
    {"last_step": _latest_step, "recovery_hashes": _recovery_hashes},
    _is_of_caller,
    _has_password,
    _is_proven,
)
"""Uses a code of the caller, and replaces the recovery codes."""

disable = Statement(
    delete(_factors).where(_is_of_caller, _has_password, _is_proven).returning(_factors.c.user_id),
    writes=True,
)
"""Turns the caller's second factor off by a code."""

remove = _remove()
"""Removes the second factor of an account, whether or not it is confirmed."""

remove_recent = _remove(or_(_is_pending, _factors.c.confirmed_at > func.now() - _RECENT))
"""Removes the second factor of an account if it was turned on within 14 days."""

some_secrets = Statement(
    select(_factors.c.user_id, _factors.c.encrypted_secret)
    .where(_factors.c.user_id > bindparam("after_id", type_=BigInteger))
    .order_by(_factors.c.user_id)
    .limit(bindparam("limit", type_=BigInteger))
)
"""The next encrypted secrets in the order of their accounts."""

set_encrypted_secret = Statement(
    update(_factors)
    .values(encrypted_secret=bindparam("encrypted_again", type_=LargeBinary))
    .where(_factors.c.user_id == _user_id, _factors.c.encrypted_secret == _encrypted_secret)
    .returning(_factors.c.user_id),
    writes=True,
)
"""Replaces an encrypted secret by the same secret, encrypted with another key."""
