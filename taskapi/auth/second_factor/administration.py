"""Use cases of administrators, for `flask users`. No operation of the API calls them."""

from __future__ import annotations

from typing import NamedTuple

from taskapi.auth.administration import CHUNK, get_user
from taskapi.auth.notices.jobs import notify_second_factor_disabled
from taskapi.auth.second_factor import queries as statements
from taskapi.auth.second_factor.verification import reencrypted_secret
from taskapi.db import database
from taskapi.logs import log_event
from taskapi.problems import NotFound


class Reencryption(NamedTuple):
    """Numbers of secrets."""

    changed: int
    unreadable: int


def disable(email: str) -> None:
    """Turn the second factor of an account off.

    Raises:
        NotFound: there is no such account, or it has no second factor.
    """
    user_id = get_user(email)["id"]
    with database.transaction():
        removed = database.row(statements.remove, user_id=user_id)
        if removed and removed["confirmed_at"]:
            notify_second_factor_disabled.defer(user_id)
    if not removed or not removed["confirmed_at"]:
        raise NotFound(f"The account {email} has no second factor.")
    log_event("second_factor_disabled", user_id=user_id, by="command line")


def reencrypt() -> Reencryption:
    """Encrypt all secrets with the current key. It can be repeated."""
    changed = unreadable = after = 0
    while rows := database.rows(statements.some_secrets, after_id=after, limit=CHUNK):
        for user_id, encrypted in rows:
            again = reencrypted_secret(user_id, encrypted)
            unreadable += again is None
            if again not in (None, encrypted):
                parameters = {"encrypted_secret": encrypted, "encrypted_again": again}
                replaced = database.row(
                    statements.set_encrypted_secret, user_id=user_id, **parameters
                )
                changed += replaced is not None
        after = rows[-1][0]
    return Reencryption(changed, unreadable)
