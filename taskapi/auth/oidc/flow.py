"""A sign-in in progress, stored in an encrypted cookie of the browser that began it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from time import time
from typing import Any, NamedTuple

import orjson

from taskapi.http.encryption import decrypt, encrypt

SECONDS = 600
"""How long a user may take to sign in at the provider."""

MAX_COOKIES = 4
"""Sign-ins of a browser in progress. The server limits the bytes of a header."""

_PURPOSE = b"taskapi sign-in v1"


class Flow(NamedTuple):
    """A sign-in in progress.

    The first four fields are between this service and the provider, the others between the front
    end and this service.
    """

    provider: str
    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str
    code_challenge: str
    front_end_state: str | None
    expires_at: int

    @classmethod
    def begun(cls, provider: str, query: dict[str, Any]) -> Flow:
        """A new sign-in, with random secrets."""
        return cls(
            provider,
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            code_verifier=secrets.token_urlsafe(32),
            redirect_uri=query["redirect_uri"],
            code_challenge=query["code_challenge"],
            front_end_state=query.get("state"),
            expires_at=int(time()) + SECONDS,
        )

    @classmethod
    def of_cookie(cls, provider: str, state: str, cookie: str) -> Flow | None:
        """The sign-in with this provider and state, unless the cookie is of another one."""
        content = decrypt(cookie.encode(), _PURPOSE)
        if content is None:
            return None
        flow = cls(*orjson.loads(content))
        is_this = secrets.compare_digest(flow.state.encode(), state.encode())
        return flow if is_this and flow.provider == provider and flow.expires_at > time() else None

    def cookie(self) -> str:
        """The value of the cookie."""
        return encrypt(orjson.dumps([*self]), _PURPOSE).decode()


def cookie_name(state: str, *, is_secure: bool) -> str:
    """The name of a sign-in's cookie. Each tab has its own."""
    return _prefix(is_secure=is_secure) + hashlib.sha256(state.encode()).hexdigest()[:16]


def surplus_cookies(names: Iterable[str], *, is_secure: bool) -> list[str]:
    """The names of the first cookies of sign-ins, if a further one would be too many."""
    prefix = _prefix(is_secure=is_secure)
    return [name for name in names if name.startswith(prefix)][: 1 - MAX_COOKIES]


def _prefix(*, is_secure: bool) -> str:
    return f"{'__Secure-' if is_secure else ''}sign_in_"
