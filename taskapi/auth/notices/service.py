"""Queues notices that need more than the ID of the account."""

from __future__ import annotations

from taskapi.auth.notices import queries as statements
from taskapi.auth.notices.jobs import notify_new_device
from taskapi.auth.tokens import parse_refresh_token
from taskapi.db import database


def report_login(refresh_token: str) -> None:
    """Queue the notice of a login on a device that was not proven to be known, if it is wanted.

    That is decided now, because the new session could turn the notice off before it is sent.

    Args:
        refresh_token: of the new session.

    Raises:
        Unavailable, OutcomeUnknown: as `Job.defer`.
    """
    token = parse_refresh_token(refresh_token)
    assert token
    user_id = token.caller.user_id
    if database.rows(statements.wants_notices, user_id=user_id):
        notify_new_device.defer(user_id, token.caller.session_id)
