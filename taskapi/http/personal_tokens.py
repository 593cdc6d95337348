"""Personal access tokens: their form, and from a token to a `Caller`.

A token contains the IDs of its user and of its row in `sessions`, a secret, of which only a hash is
stored, and a checksum, by which scanners recognize a token that was published. A worker looks a
token up once, because its scopes never change. As for a login, the request's own statement checks
whether it is still valid (`db.tenancy`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from flask import Flask, Request
from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.types import Interval

from taskapi.auth.models import TOKEN, Session
from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.db.tenancy import SESSION_ID, USER_ID, has_live_session, scope
from taskapi.extensions import table_of
from taskapi.http.admission import admission
from taskapi.http.application import current_request
from taskapi.http.rates import Rate
from taskapi.identity import MAX_ID, Caller, authenticate, bearer_token
from taskapi.problems import InsufficientStorage, RateLimited, TokenInvalid, Unavailable
from taskapi.runtime.context import extensions

PREFIX = "tapi_"

USE_SECONDS = 60
"""The time of the last use is written at most once in so many seconds."""

_SECRET_BYTES = 32
_ID_BYTES = 7
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY_DIGITS, _CHECKSUM_DIGITS = 62, 6
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY_DIGITS + _CHECKSUM_DIGITS}}}", re.ASCII)
_CACHED_TOKENS = 10_000

_sessions = table_of(Session)


class PersonalToken(NamedTuple):
    """A personal access token."""

    user_id: int
    session_id: int
    secret: bytes

    @property
    def secret_hash(self) -> bytes:
        """The stored hash of the secret."""
        return hashlib.sha256(self.secret).digest()

    def __str__(self) -> str:
        ids = (one.to_bytes(_ID_BYTES, "big") for one in (self.user_id, self.session_id))
        content = int.from_bytes(b"".join((*ids, self.secret)), "big")
        text = PREFIX + _in_base_62(content, _BODY_DIGITS)
        return text + _checksum(text)


def new_secret() -> bytes:
    """A random secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def parse_personal_token(text: str) -> PersonalToken | None:
    """Parse a token; return None if it is malformed or its checksum is wrong."""
    if not _FORM.fullmatch(text) or _checksum(text[:-_CHECKSUM_DIGITS]) != text[-_CHECKSUM_DIGITS:]:
        return None
    content = 0
    for digit in text[len(PREFIX) : -_CHECKSUM_DIGITS]:
        content = content * len(_DIGITS) + _DIGITS.index(digit)
    try:
        raw = content.to_bytes(2 * _ID_BYTES + _SECRET_BYTES, "big")
    except OverflowError:
        return None
    user_id = int.from_bytes(raw[:_ID_BYTES], "big")
    session_id = int.from_bytes(raw[_ID_BYTES : 2 * _ID_BYTES], "big")
    if not (0 < user_id <= MAX_ID and 0 < session_id <= MAX_ID):
        return None
    return PersonalToken(user_id, session_id, raw[2 * _ID_BYTES :])


def init_app(app: Flask) -> None:
    """Create what a worker knows of tokens: their scopes, and when it wrote their last use."""
    app.extensions["taskapi_find_personal_token"] = lru_cache(_CACHED_TOKENS)(_found)
    app.extensions["taskapi_personal_token_uses"] = Rate()


def authenticate_by_token(request: Request, *, accept_expired: bool = False) -> Caller:
    """The caller of a request, from its access token or its personal access token.

    Args:
        accept_expired: accept an expired access token, for logging out.

    Raises:
        Unauthenticated, TokenExpired, TokenInvalid: as `identity.authenticate`.
        TooManyConcurrentRequests: the network sends too many unknown tokens.
        Unavailable: the token is new to the worker, and the database does not respond.
    """
    token = bearer_token(request)
    if token.startswith(PREFIX):
        caller: Caller = extensions()["taskapi_find_personal_token"](token)
        return caller
    return authenticate(token, accept_expired=accept_expired)


def record_use(caller: Caller) -> None:
    """Write when the caller's personal access token was last used, once in `USE_SECONDS`."""
    uses: Rate = extensions()["taskapi_personal_token_uses"]
    if uses.seconds_early(str(caller.session_id), USE_SECONDS, 0):
        return
    # A request succeeds although this cannot be written, for example because the disk is full.
    with suppress(Unavailable, InsufficientStorage, RateLimited):
        database.rows(_USE, **scope(caller))


def _found(text: str) -> Caller:
    token = parse_personal_token(text)
    if token is None:
        raise TokenInvalid
    with admission().lookup(current_request()):
        ids = {"user_id": token.user_id, "session_id": token.session_id}
        row = database.row(_LOOKUP, token_hash=token.secret_hash, **ids)
    if row is None:
        raise TokenInvalid
    workspace_ids = row["workspace_ids"]
    return Caller.of(token.user_id, token.session_id)._replace(
        scopes=frozenset(row["scopes"]),
        workspace_ids=None if workspace_ids is None else frozenset(workspace_ids),
    )


def _checksum(text: str) -> str:
    return _in_base_62(crc32(text.encode()), _CHECKSUM_DIGITS)


def _in_base_62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


_is_token = _sessions.c.kind == literal_column(f"'{TOKEN}'", Text)
_before = func.now() - literal_column(f"interval '{USE_SECONDS} seconds'", Interval)

_LOOKUP = Statement(
    select(_sessions.c.scopes, _sessions.c.workspace_ids).where(
        _sessions.c.user_id == bindparam("user_id", type_=BigInteger),
        _sessions.c.id == bindparam("session_id", type_=BigInteger),
        _is_token,
        _sessions.c.token_hash == bindparam("token_hash", type_=LargeBinary),
    )
)
"""The scopes and workspaces of a token, whether or not it is still valid."""

_USE = Statement(
    update(_sessions)
    .values(last_used_at=func.now())
    .where(
        and_(_sessions.c.user_id == USER_ID, _sessions.c.id == SESSION_ID, _is_token),
        has_live_session(),
        or_(_sessions.c.last_used_at.is_(None), _sessions.c.last_used_at < _before),
    )
    .returning(_sessions.c.id),
    # Not `writes`: it can be repeated, and does not wait for the writes to the workspace.
    independent=True,
)
"""Sets the time of the last use, unless another worker has just done so."""
