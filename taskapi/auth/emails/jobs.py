"""The mails of accounts, as jobs.

Each job makes its token when it runs, so that neither the queue nor a log contains one. A job that
is retried sends another token, and both are valid.
"""

from __future__ import annotations

from taskapi.auth.emails import queries as statements
from taskapi.auth.emails import tokens
from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.jobs import job
from taskapi.mail import send


@job("send_verification")
def send_verification(user_id: int) -> None:
    """Send the link that verifies the email of an account, unless it is verified."""
    _send_link(
        "verify_email",
        "verify-email",
        statements.verification_token,
        user_id=user_id,
        lifetime=tokens.VERIFY_SECONDS,
    )


@job("send_password_reset")
def send_password_reset(user_id: int) -> None:
    """Send the link that resets the password, if there is such an active account."""
    _send_link(
        "reset_password",
        "reset-password",
        statements.reset_token,
        user_id=user_id,
        lifetime=tokens.RESET_SECONDS,
    )


@job("send_email_restored")
def send_email_restored(user_id: int) -> None:
    """Send the link that sets a password, after a change of the email was undone."""
    _send_link(
        "email_restored",
        "reset-password",
        statements.reset_token,
        user_id=user_id,
        lifetime=tokens.RESET_SECONDS,
    )


@job("send_email_change")
def send_email_change(change_id: int) -> None:
    """Send the link that confirms a change to the new address.

    If another account has that address, its owner learns of the attempt instead.
    """
    change = database.row(statements.pending_change, change_id=change_id)
    if change is None:
        return
    # An account can enter any address, so its messages are limited.
    account = change["user_id"]
    if change["is_taken"]:
        send(change["new_email"], "email_in_use", {}, user_id=account)
    else:
        statement = statements.change_token
        _send_link("change_email", "verify-email", statement, account, change_id=change_id)


@job("send_email_changed")
def send_email_changed(change_id: int) -> None:
    """Tell the old address that a change took effect, with a link that undoes it.

    There is no link if the old address was never verified: its owner may be a stranger.
    """
    if _send_link("email_changed", "undo-email", statements.undo_token, change_id=change_id):
        return
    change = database.row(statements.confirmed_change, change_id=change_id)
    if change:
        send(change["old_email"], "email_changed", {"link": None})


def _send_link(
    template: str, page: str, statement: Statement, account: int | None = None, **parameters: int
) -> bool:
    """Store a token and send a link with it. Return whether the statement stored one.

    Args:
        account: whose messages are limited.
    """
    token = tokens.new_token()
    stored = database.row(statement, token_hash=tokens.hash_of(token), **parameters)
    if stored:
        send(stored["email"], template, {"link": tokens.link(page, token)}, user_id=account)
    return stored is not None
