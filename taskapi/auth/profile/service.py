"""Use cases of the caller's account and its profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.auth.profile import queries as statements
from taskapi.auth.profile.queries import PROFILE, given
from taskapi.db import database
from taskapi.db.quotas import usage
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import SessionEnded

Account = dict[str, Any]


def get_me(caller: Caller) -> Account:
    """Return the caller's account, with its profile, second factor and use of its quotas.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    return _account(database.row(statements.own_account, **scope(caller)))


def update_profile(caller: Caller, changes: Mapping[str, Any]) -> Account:
    """Set the given fields of the caller's profile, and return the account as `get_me` does.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    if not changes:
        return get_me(caller)
    values = {name: changes.get(name) for name in PROFILE}
    are_given = {given(name): name in changes for name in PROFILE}
    account = _account(
        database.row(statements.update_profile, **values, **are_given, **scope(caller))
    )
    log_event("profile_updated")
    return account


def get_timezone(caller: Caller) -> str | None:
    """Return the time zone of the caller's profile; None without one.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    found = database.row(statements.own_timezone, **scope(caller))
    if found is None:
        raise SessionEnded
    timezone: str | None = found["timezone"]
    return timezone


def _account(found: dict[str, Any] | None) -> Account:
    if found is None:
        raise SessionEnded
    quotas = usage(found)
    left = found.pop("recovery_codes_left")
    second_factor = {"is_enabled": left is not None, "recovery_codes_left": left or 0}
    return {**found, "second_factor": second_factor, "quotas": quotas}
