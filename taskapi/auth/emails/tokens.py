"""Tokens that are sent by mail: random, stored as hashes, used once."""

from __future__ import annotations

import hashlib
import secrets

from flask import current_app

_PREFIX = "te_"
_BYTES = 32

VERIFY_SECONDS = 3 * 86_400
"""The lifetime of a link that verifies the address of an account."""

CHANGE_SECONDS = 86_400
"""The time in which a new address must be confirmed."""

UNDO_SECONDS = 7 * 86_400
"""The time in which the old address can undo a change."""

RESET_SECONDS = 3_600
"""The lifetime of a link that resets a password."""


def new_token() -> str:
    """Return a random token."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def hash_of(token: str) -> bytes:
    """Return the stored hash of a token."""
    return hashlib.sha256(token.encode()).digest()


def link(page: str, token: str) -> str:
    """Return the address of a page with a token, for a mail.

    The front end gets the token in the query. The service's own pages get it in the fragment,
    which browsers do not send, so that no log of a proxy contains it.
    """
    app_url = current_app.config["APP_URL"]
    if app_url:
        return f"{app_url}/{page}?token={token}"
    return f"{current_app.config['PUBLIC_URL']}/{page}#token={token}"
