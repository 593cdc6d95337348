"""Emails that an account can get back by undoing a change. No other account can have them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, func, true

from taskapi.auth.emails.models import EmailChange
from taskapi.extensions import table_of

_changes = table_of(EmailChange)


def is_reserved(
    email: ColumnElement[str], user_id: ColumnElement[int] | None = None
) -> ColumnElement[bool]:
    """True in SQL if another account can still get this email back: see `EmailChange`."""
    change = _changes.alias("reserved")
    others = true() if user_id is None else change.c.user_id != user_id
    return exists().where(change.c.old_email == email, change.c.expires_at > func.now(), others)
