"""SQL of profiles."""

from __future__ import annotations

from sqlalchemy import Boolean, bindparam, case, func, select, true, update

from taskapi.auth.models import User
from taskapi.auth.queries import IS_CALLER
from taskapi.auth.second_factor.models import SecondFactor
from taskapi.db.quotas import QUOTAS
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USER_ID, WORKSPACE_ID, WORKSPACES
from taskapi.extensions import table_of

_users, _factors = table_of(User), table_of(SecondFactor)

PROFILE = ("name", "timezone", "locale", "week_start", "notices")

COLUMNS = (
    _users.c.id,
    _users.c.email,
    _users.c.email_verified,
    _users.c.created_at,
    *(_users.c[name] for name in PROFILE),
)

_recovery_codes_left = (
    select(func.cardinality(_factors.c.recovery_hashes))
    .where(_factors.c.user_id == USER_ID, _factors.c.confirmed_at.is_not(None))
    .scalar_subquery()
    .label("recovery_codes_left")
)
"""Null without a second factor."""

_TOTALS = tuple(WORKSPACES.c[quota.total] for quota in QUOTAS)


def given(name: str) -> str:
    """The parameter that says whether a field is changed."""
    return f"has_{name}"


def _update_profile() -> Statement:
    values = {
        name: case(
            (bindparam(given(name), type_=Boolean), bindparam(name, type_=_users.c[name].type)),
            else_=_users.c[name],
        )
        for name in PROFILE
    }
    updated = (
        update(_users)
        .values(**values, updated_at=func.now())
        .where(IS_CALLER)
        .returning(*COLUMNS)
        .cte("updated")
    )
    account = select(*updated.c, _recovery_codes_left, *_TOTALS).join(WORKSPACES, true())
    return Statement(account.where(WORKSPACES.c.id == WORKSPACE_ID), writes=True)


own_account = Statement(
    select(*COLUMNS, _recovery_codes_left, *_TOTALS)
    .join(WORKSPACES, WORKSPACES.c.id == WORKSPACE_ID)
    .where(IS_CALLER)
)
"""The caller's account: its profile, second factor, and the totals that have quotas."""

update_profile = _update_profile()
"""Changes the given fields of the caller's profile, and returns the same as `own_account`."""

own_timezone = Statement(select(_users.c.timezone).where(IS_CALLER))
"""The caller's time zone."""
