"""The mail of an invitation, as a job.

The queue gets the token encrypted, since whoever invites has got the same token.
"""

from __future__ import annotations

from flask import current_app

from taskapi.auth.emails import tokens
from taskapi.db import database
from taskapi.http.encryption import decrypt, encrypt
from taskapi.jobs import job
from taskapi.mail import send
from taskapi.workspaces.invitations import queries as statements

_PURPOSE = b"taskapi invitation v1"


def sealed(token: str) -> str:
    """The encrypted token, for the queue."""
    return encrypt(token.encode(), _PURPOSE).decode()


@job("send_invitation")
def send_invitation(workspace_id: int, user_id: int, sealed_token: str) -> None:
    """Send an invitation, if it is still open.

    Args:
        user_id: who invites, whose messages are limited.
        sealed_token: as `sealed` returns it.
    """
    content = decrypt(sealed_token.encode(), _PURPOSE)
    if content is None:  # The key was removed.
        return
    token = content.decode()
    hashed = tokens.hash_of(token)
    found = database.row(statements.mailed, workspace_id=workspace_id, token_hash=hashed)
    if found:
        # Without a front end there is no page: accepting requires a login.
        has_page = current_app.config["APP_URL"]
        link = tokens.link("accept-invitation", token) if has_page else None
        values = {**found, "link": link, "token": token}
        send(values.pop("email"), "invitation", values, user_id=user_id)
