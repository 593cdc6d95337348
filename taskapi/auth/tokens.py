"""Refresh tokens: opaque, stored as hashes, replaced at each use.

A token names its session and carries two secrets: the family stays as long as the session, the
secret rotates. The next secret follows from the present one by a key of the server's, so that a
client whose answer was lost, and twenty refreshes at once, all get the same successor.
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
    """A refresh token in its parts."""

    caller: Caller
    family: bytes
    secret: bytes

    @property
    def family_hash(self) -> bytes:
        """What the session keeps of the part that stays."""
        return hashlib.sha256(self.family).digest()

    @property
    def secret_hash(self) -> bytes:
        """What the session keeps of the part that rotates."""
        return hashlib.sha256(self.secret).digest()

    def successor(self, key: str) -> RefreshToken:
        """The token that takes this one's place; the same each time for the same key."""
        following = hmac.digest(key.encode(), _CONTEXT + self.family + self.secret, hashlib.sha256)
        return self._replace(secret=following)

    def __str__(self) -> str:
        packed = _LAYOUT.pack(self.caller.user_id, self.caller.session_id, self.family, self.secret)
        return _PREFIX + base64.urlsafe_b64encode(packed).decode()


def new_family() -> tuple[bytes, bytes]:
    """The random parts of a session's first token: the family and the first secret."""
    return secrets.token_bytes(_FAMILY_BYTES), secrets.token_bytes(_SECRET_BYTES)


def parse_refresh_token(text: str) -> RefreshToken | None:
    """The parts of a refresh token; None when it cannot be one of ours."""
    try:
        packed = base64.b64decode(text.removeprefix(_PREFIX), b"-_", validate=True)
        user_id, session_id, family, secret = _LAYOUT.unpack(packed)
    except (binascii.Error, ValueError, struct.error):
        return None
    if not (0 < user_id <= MAX_ID and 0 < session_id <= MAX_ID):
        return None
    token = RefreshToken(Caller.of(user_id, session_id), family, secret)
    return token if str(token) == text else None
