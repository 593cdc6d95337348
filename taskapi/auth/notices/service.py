"""Queues notices that need more than the ID of the account."""

from __future__ import annotations

from taskapi.auth.notices.jobs import notify_new_device
from taskapi.auth.tokens import parse_refresh_token


def report_login(refresh_token: str) -> None:
    """Queue the notice of a login on a device that was not proven to be known.

    Args:
        refresh_token: of the new session.

    Raises:
        Unavailable, OutcomeUnknown: as `Job.defer`.
    """
    token = parse_refresh_token(refresh_token)
    assert token
    notify_new_device.defer(token.caller.user_id, token.caller.session_id)
