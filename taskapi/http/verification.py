"""Requires a verified email for all operations but those of the account, if it is configured.

An email that was verified once stays verified, also when it changes. So a worker remembers users
with a verified email, and their requests need no further query.
"""

from __future__ import annotations

from flask import Flask
from sqlalchemy import select

from config import Settings
from taskapi.auth.models import User
from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USER_ID, has_live_session, scope
from taskapi.extensions import table_of
from taskapi.http.application import Request
from taskapi.identity import Caller
from taskapi.problems import EmailNotVerified, SessionEnded
from taskapi.runtime.context import extensions

_MAX_REMEMBERED = 100_000
_ACCOUNT_PREFIX = "/auth/"

_users = table_of(User)

_is_verified = Statement(
    select(_users.c.email_verified).where(_users.c.id == USER_ID, has_live_session())
)
"""Whether the caller's email is verified; no row if the session has ended."""


def init_app(app: Flask, settings: Settings) -> None:
    """Turn the requirement on or off."""
    remembered: dict[int, None] | None = {} if settings.require_verified_email else None
    app.extensions["taskapi_verified_users"] = remembered


def needs_verified_email(path: str) -> bool:
    """Whether the operations with this path can require a verified email."""
    return not path.startswith(_ACCOUNT_PREFIX)


def is_verified(caller: Caller) -> bool:
    """Return whether the caller's email is verified.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    found = database.row(_is_verified, **scope(caller))
    if found is None:
        raise SessionEnded
    return bool(found["email_verified"])


def require_verified_email(request: Request, caller: Caller) -> None:
    """Check the requirement for a request.

    Raises:
        EmailNotVerified: the caller's email is not verified.
        SessionEnded: the caller's session has ended.
    """
    remembered: dict[int, None] | None = extensions()["taskapi_verified_users"]
    if remembered is None or caller.user_id in remembered or not needs_verified_email(request.path):
        return
    if not is_verified(caller):
        raise EmailNotVerified
    if len(remembered) >= _MAX_REMEMBERED:
        remembered.pop(next(iter(remembered)), None)
    remembered[caller.user_id] = None
