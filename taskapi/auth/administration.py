"""Use cases of administrators, for `flask` commands. No operation of the API calls them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import current_app

from taskapi.auth import deletion
from taskapi.auth import queries as statements
from taskapi.auth.emails import queries as emails
from taskapi.auth.notices.jobs import notify_password_changed
from taskapi.auth.passwords import LOCAL, hash_password
from taskapi.auth.service import EmailTaken
from taskapi.db import database
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import NotFound

User = dict[str, Any]

CHUNK = 500
_WORK_SECONDS = 3_600


def create_user(email: str, password: str) -> int:
    """Create an account and return its ID.

    Raises:
        EmailTaken: another account has this email.
    """
    hashed_password = hash_password(password, LOCAL)
    created = database.row(statements.add_user, email=email, hashed_password=hashed_password)
    if created is None:
        raise EmailTaken
    _log("user_created", created["id"])
    return int(created["id"])


def all_users() -> Iterator[User]:
    """Iterate over all accounts in the order of their IDs."""
    after = 0
    while rows := database.rows(statements.some_users, after_id=after, limit=CHUNK):
        for row in rows:
            yield dict(zip(statements.some_users.columns, row, strict=True))
        after = rows[-1][0]


def get_user(email: str) -> User:
    """Return the account with this email.

    Raises:
        NotFound: there is no such account.
    """
    found = database.row(statements.described_user, email=email)
    if found is None:
        raise NotFound(f"There is no account with the email {email}.")
    return found


def set_password(email: str, password: str) -> int:
    """Set the password of an account, end its sessions, and return their number.

    Raises:
        NotFound: there is no such account.
    """
    user_id = get_user(email)["id"]
    new_hash = hash_password(password, LOCAL)
    with database.transaction():
        database.row(statements.set_user_password, user_id=user_id, new_hash=new_hash)
        database.rows(emails.delete_pending_changes, user_id=user_id)
        database.rows(emails.void_tokens, user_id=user_id)
        ended = database.rows(statements.revoke_all, user_id=user_id)
        notify_password_changed.defer(user_id)
    _log("password_set", user_id)
    return len(ended)


def set_active(email: str, *, active: bool) -> int:
    """Activate or deactivate an account. Deactivation ends its sessions. Return their number.

    Raises:
        NotFound: there is no such account.
    """
    user_id = get_user(email)["id"]
    with database.transaction():
        database.row(statements.set_user_active, user_id=user_id, active=active)
        ended = [] if active else database.rows(statements.revoke_all, user_id=user_id)
    _log("user_activated" if active else "user_deactivated", user_id)
    return len(ended)


def set_verified(email: str) -> None:
    """Set that the email of an account is verified.

    Raises:
        NotFound: there is no such account.
    """
    user_id = get_user(email)["id"]
    database.row(emails.set_verified, user_id=user_id)
    _log("email_verified", user_id)


def delete_user(email: str) -> None:
    """Delete an account and all its data, in small steps.

    Raises:
        NotFound: there is no such account.
    """
    user_id = get_user(email)["id"]
    deletion.close(statements.close_account, user_id=user_id)
    _log("user_deleted", user_id)
    deletion.delete_rows(user_id)


def end_all_sessions() -> int:
    """End all sessions of all accounts, and return their number."""
    ended = after = 0
    while rows := database.rows(statements.some_users, after_id=after, limit=CHUNK):
        last = rows[-1][0]
        ended += len(database.rows(statements.end_sessions, after_id=after, last_id=last))
        after = last
    log_event("all_sessions_ended", ended=ended, by="command line")
    return ended


@contextmanager
def session_of(email: str) -> Iterator[Caller]:
    """Create a session of an account for a command, and end it afterwards.

    Raises:
        NotFound: there is no such account, or it is deactivated.
    """
    account = database.row(statements.credentials, email=email) or {"id": 0, "hashed_password": ""}
    opened = database.row(
        statements.open_session,
        user_id=account["id"],
        hashed_password=account["hashed_password"],
        family_hash=b"",
        refresh_hash=b"",
        lifetime=_WORK_SECONDS,
        quota_sessions=current_app.config["QUOTA_SESSIONS"],
        user_agent="command line",
        address=None,
        is_proven=True,
    )
    if opened is None:
        raise NotFound(f"There is no active account with the email {email}.")
    caller = Caller.of(opened["id"], opened["session_id"])
    try:
        yield caller
    finally:
        database.row(statements.revoke, user_id=caller.user_id, session_id=caller.session_id)


def _log(event: str, user_id: int) -> None:
    log_event(event, user_id=user_id, by="command line")
