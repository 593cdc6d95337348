"""The notices, as jobs. Each is queued in the transaction of what it reports.

Only verified addresses receive notices. Those about a change of what grants access cannot be turned
off, because whoever has taken over a session could turn them off first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from taskapi.auth.notices import queries as statements
from taskapi.auth.notices.devices import describe
from taskapi.db import database
from taskapi.jobs import job
from taskapi.mail import send


@job("notify_password_changed")
def notify_password_changed(user_id: int) -> None:
    """Report that the password of an account has changed."""
    _notify("password_changed", user_id)


@job("notify_token_created")
def notify_token_created(user_id: int) -> None:
    """Report that an account has a new personal access token."""
    _notify("token_created", user_id)


@job("notify_second_factor_enabled")
def notify_second_factor_enabled(user_id: int) -> None:
    """Report that logins to an account need a code."""
    _notify("second_factor_enabled", user_id)


@job("notify_second_factor_disabled")
def notify_second_factor_disabled(user_id: int) -> None:
    """Report that logins to an account need no code any more."""
    _notify("second_factor_disabled", user_id)


@job("notify_identity_linked")
def notify_identity_linked(user_id: int) -> None:
    """Report that another identity can log in to an account."""
    _notify("identity_linked", user_id)


@job("notify_new_device")
def notify_new_device(user_id: int, session_id: int) -> None:
    """Report a login, unless the account knows the device."""
    found = database.row(statements.new_device, user_id=user_id, session_id=session_id)
    if found is None:
        return
    values = {
        "when": _local(found["created_at"], found["timezone"]),
        "device": describe(found["user_agent"]),
        "address": found["address"],
    }
    send(found["email"], "new_device", values)


def _notify(template: str, user_id: int) -> None:
    found = database.row(statements.recipient, user_id=user_id)
    if found:
        when = _local(datetime.now(UTC), found["timezone"])
        send(found["email"], template, {"when": when})


def _local(moment: datetime, timezone: str | None) -> str:
    """A time in the time zone of an account, or else in UTC."""
    zone = timezone or "UTC"
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%B %Y, %H:%M} ({zone})"
