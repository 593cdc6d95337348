"""Refresh tokens: opaque, stored as hashes, replaced at each use.

A token contains the ID of its session and two secrets. The family is constant; the secret rotates.
The next secret is derived from the current one with the server's key, so that repeated or
concurrent requests with one token get the same successor.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from typing import NamedTuple

from taskapi.identity import MAX_ID, Caller

_PREFIX = "tr_"
_FAMILY_BYTES, _SECRET_BYTES = 18, 32
_LAYOUT = struct.Struct(f">QQ{_FAMILY_BYTES}s{_SECRET_BYTES}s")
_CONTEXT = b"taskapi refresh v1"


class RefreshToken(NamedTuple):
    """A parsed refresh token."""

    caller: Caller
    family: bytes
    secret: bytes

    @property
    def family_hash(self) -> bytes:
        """The stored hash of the constant part."""
        return hashlib.sha256(self.family).digest()

    @property
    def secret_hash(self) -> bytes:
        """The stored hash of the rotating part."""
        return hashlib.sha256(self.secret).digest()

    def successor(self, key: str) -> RefreshToken:
        """Return the token that replaces this one. It depends only on this token and the key."""
        following = hmac.digest(key.encode(), _CONTEXT + self.family + self.secret, hashlib.sha256)
        return self._replace(secret=following)

    def __str__(self) -> str:
        packed = _LAYOUT.pack(self.caller.user_id, self.caller.session_id, self.family, self.secret)
        return _PREFIX + base64.urlsafe_b64encode(packed).decode()


def new_family() -> tuple[bytes, bytes]:
    """Return a random family and a random first secret."""
    return secrets.token_bytes(_FAMILY_BYTES), secrets.token_bytes(_SECRET_BYTES)


def parse_refresh_token(text: str) -> RefreshToken | None:
    """Parse a refresh token; return None if it is malformed."""
    try:
        packed = base64.b64decode(text.removeprefix(_PREFIX), b"-_", validate=True)
        user_id, session_id, family, secret = _LAYOUT.unpack(packed)
    except (binascii.Error, ValueError, struct.error):
        return None
    if not (0 < user_id <= MAX_ID and 0 < session_id <= MAX_ID):
        return None
    token = RefreshToken(Caller.of(user_id, session_id), family, secret)
    return token if str(token) == text else None
