"""Access tokens: from the Authorization header to a `Caller`, and new tokens.

Flask-JWT-Extended signs and verifies them. The request's own statement checks whether the session
is active (`db.tenancy`). Verified tokens are cached, since a signature never changes. Their expiry
is checked each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from time import time
from typing import Any, NamedTuple

from flask import Flask, Request, current_app
from flask_jwt_extended import create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import PyJWTError, decode
from jwt.types import Options

from config import Settings
from taskapi.extensions import jwt
from taskapi.problems import TokenExpired, TokenInvalid, Unauthenticated
from taskapi.runtime.context import extensions

MAX_ID = 2**53 - 1
"""The maximum of integers that JSON parsers represent exactly (RFC 8259 section 6)."""

_MAX_TOKEN_LENGTH = 2_048
_CACHED_TOKENS = 10_000
_ERRORS = (PyJWTError, JWTExtendedException, ValueError, RecursionError)
_SIGNATURE_ONLY: Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class Caller(NamedTuple):
    """The user, session and workspace of a request. It is the first argument of all use cases."""

    user_id: int
    session_id: int
    workspace_id: int
    scopes: frozenset[str] | None = None
    """Of a personal access token. None for a login, which may use all operations."""

    workspace_ids: frozenset[int] | None = None
    """Of a personal access token, the workspaces that it is for. None for all."""

    writes: bool = False
    """Whether the operation needs a role that allows changes, in a shared workspace."""

    @property
    def is_in_shared_workspace(self) -> bool:
        """Whether the workspace is not the user's personal one."""
        return self.workspace_id != self.user_id

    def may_use(self, workspace_id: int) -> bool:
        """Whether the personal access token, if it is one, is for this workspace."""
        return self.workspace_ids is None or workspace_id in self.workspace_ids

    @classmethod
    def of(cls, user_id: int, session_id: int) -> Caller:
        """The caller in the user's personal workspace, which has the user's ID."""
        return cls(user_id, session_id, user_id)


class _Claims(NamedTuple):
    caller: Caller
    expires_at: int


def init_app(app: Flask, settings: Settings) -> None:
    """Set keys, algorithm and lifetime of tokens."""
    assert settings.jwt_secret_key
    app.config.update(
        JWT_ALGORITHM="HS256",
        JWT_DECODE_ALGORITHMS=["HS256"],
        JWT_ACCESS_TOKEN_EXPIRES=settings.jwt_access_token_expires,
        JWT_SECRET_KEY=settings.jwt_secret_key,
        JWT_ENCODE_NBF=False,
        # The clocks of machines differ. `exp` is checked in `authenticate`, without leeway.
        JWT_DECODE_LEEWAY=60,
        JWT_COOKIE_CSRF_PROTECT=False,
    )
    keys = [settings.jwt_secret_key, *settings.jwt_previous_secret_keys]
    app.extensions["taskapi_jwt_keys"] = {key_id(key): key for key in keys}
    app.extensions["taskapi_verify"] = lru_cache(_CACHED_TOKENS)(_verify)
    jwt.init_app(app)
    jwt.decode_key_loader(_key_of)


def key_id(key: str) -> str:
    """The `kid` that names a key in a token's header (RFC 7515 section 4.1.4)."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def signing_keys() -> list[str]:
    """The keys of this service. The first one signs; the others only verify."""
    return list(current_app.extensions["taskapi_jwt_keys"].values())


def issue_access_token(caller: Caller) -> str:
    """A new access token for the caller's session."""
    token: str = create_access_token(
        str(caller.user_id),
        additional_claims={"sid": caller.session_id},
        additional_headers={"kid": key_id(current_app.config["JWT_SECRET_KEY"])},
    )
    return token


_NOT_BEARER = "Authorization must have the form: Bearer <access_token>"


def bearer_token(request: Request) -> str:
    """The bearer token of a request.

    Raises:
        Unauthenticated: there is none (RFC 6750 section 2.1).
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated(_NOT_BEARER if scheme else None)
    return token


def authenticate(token: str, *, accept_expired: bool = False) -> Caller:
    """The caller that an access token names.

    Args:
        accept_expired: accept an expired token, for logging out.

    Raises:
        TokenExpired: the token has expired. It may lack claims that older versions did not issue.
        TokenInvalid: the token is invalid.
    """
    claims: _Claims = extensions()["taskapi_verify"](token)
    if claims.expires_at <= time() and not accept_expired:
        raise TokenExpired
    return claims.caller


def _verify(token: str) -> _Claims:
    if len(token) > _MAX_TOKEN_LENGTH:
        raise TokenInvalid
    try:
        return _checked(decode_token(token, allow_expired=True))
    except (*_ERRORS, TokenInvalid):
        raise (TokenExpired if _has_expired(token) else TokenInvalid) from None


def _has_expired(token: str) -> bool:
    """Whether one of our keys signed a token that has expired, whatever else it contains."""
    for key in signing_keys():
        try:
            claims = decode(token, key, algorithms=["HS256"], options=_SIGNATURE_ONLY)
        except _ERRORS:
            continue
        expiry = claims.get("exp")
        if isinstance(expiry, bool) or not isinstance(expiry, int | float):
            return False
        return expiry <= time()
    return False


def _checked(claims: Mapping[str, Any]) -> _Claims:
    """The claims of an access token, validated."""
    if claims["type"] != "access" or not claims.get("jti"):
        raise TokenInvalid
    whole = {name: claims.get(name) for name in ("sid", "exp", "iat")}
    if not all(type(value) is int for value in whole.values()):
        raise TokenInvalid
    subject = claims["sub"]
    if not (isinstance(subject, str) and subject.isascii() and subject.isdigit()):
        raise TokenInvalid
    caller = Caller.of(int(subject), claims["sid"])
    if not (0 < caller.user_id <= MAX_ID and 0 < caller.session_id <= MAX_ID):
        raise TokenInvalid
    return _Claims(caller, claims["exp"])


def _key_of(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> str:
    keys: dict[str, str] = current_app.extensions["taskapi_jwt_keys"]
    kid = header.get("kid")
    if not isinstance(kid, str) or kid not in keys:
        raise TokenInvalid
    return keys[kid]
