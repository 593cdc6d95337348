"""Use cases that the caller confirms with the password of the account."""

from __future__ import annotations

import logging
from contextlib import suppress
from time import monotonic
from typing import NoReturn

from taskapi.auth import attempts, deletion
from taskapi.auth import queries as statements
from taskapi.auth.emails import queries as emails
from taskapi.auth.fairness import Group
from taskapi.auth.notices.jobs import notify_password_changed
from taskapi.auth.passwords import hash_password, verify_password
from taskapi.auth.profile.service import get_me
from taskapi.db import database
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import InvalidInput, RateLimited, SessionEnded, Unavailable

_DELETION_SECONDS = 2.0
"""For the deletion of an account's rows within its request."""

_events = logging.getLogger("taskapi.event")


class WrongPassword(InvalidInput):
    """The password that confirms an operation is wrong."""

    code = "wrong_password"
    title = "Wrong password"
    detail = "The password is wrong."

    @classmethod
    def in_field(cls, pointer: str = "/password") -> InvalidInput:
        """The problem for a wrong password in this field."""
        return cls.at(pointer, "Is not the account's password.", "wrong_password")


def confirm_password(caller: Caller, password: str, address: str | None) -> str:
    """Verify the caller's password, and return its hash.

    Raises:
        WrongPassword, SessionEnded, RateLimited, TooBusy: see there.
    """
    attempts.spend_reauthentication(caller.user_id, address)
    return _reauthenticate(caller, password, attempts.group_of(address, is_known=True), "/password")


def change_password(
    caller: Caller,
    current_password: str,
    new_password: str,
    address: str | None,
    *,
    revoke_tokens: bool = False,
) -> None:
    """Change the caller's password and end the other sessions.

    Args:
        revoke_tokens: whether to revoke the personal access tokens too.

    Raises:
        WrongPassword: the current password is wrong.
        SessionEnded, RateLimited, TooBusy: see there.
    """
    attempts.spend_reauthentication(caller.user_id, address)
    group = attempts.group_of(address, is_known=True)
    hashed_password = _reauthenticate(caller, current_password, group, "/current_password")
    new_hash = hash_password(new_password, group)
    with database.transaction():
        changed = database.row(
            statements.set_own_password,
            hashed_password=hashed_password,
            new_hash=new_hash,
            **scope(caller),
        )
        if not changed:
            _raise_for_unchanged_row(caller, "/current_password")
        ending = statements.revoke_all_others if revoke_tokens else statements.revoke_others
        ended = database.rows(ending, user_id=caller.user_id, session_id=caller.session_id)
        # Somebody who knew the old password may have requested them. Links that reset the password
        # stay valid: voided again and again, they would keep the owner of the email out.
        database.rows(emails.delete_pending_changes, user_id=caller.user_id)
        notify_password_changed.defer(caller.user_id)
    log_event("password_changed", user_id=caller.user_id, ended=len(ended))


def delete_account(caller: Caller, password: str, address: str | None) -> None:
    """Delete the caller's account. Its sessions end and its email is free at once.

    Its rows are deleted for a limited time; `flask purge` deletes the others.

    Raises:
        WrongPassword, OwnsWorkspace, SessionEnded, RateLimited, TooBusy: see there.
    """
    hashed_password = confirm_password(caller, password, address)
    parameters = {"hashed_password": hashed_password, **scope(caller)}
    if not deletion.close(statements.close_own_account, **parameters):
        _raise_for_unchanged_row(caller, "/password")
    log_event("account_deleted", user_id=caller.user_id)
    with suppress(Unavailable, RateLimited):
        deletion.delete_rows(caller.user_id, monotonic() + _DELETION_SECONDS)


def _reauthenticate(caller: Caller, password: str, group: Group, pointer: str) -> str:
    """Verify the caller's password and return its hash."""
    found = database.row(statements.own_password, **scope(caller))
    if found is None:
        raise SessionEnded
    hashed_password: str = found["hashed_password"]
    if not verify_password(password, hashed_password, group):
        _events.warning("reauthentication_failed", extra={"user_id": caller.user_id})
        raise WrongPassword.in_field(pointer)
    return hashed_password


def _raise_for_unchanged_row(caller: Caller, pointer: str) -> NoReturn:
    """Raise the reason why no row was changed: the session has ended, or the password changed."""
    get_me(caller)
    raise WrongPassword.in_field(pointer)
