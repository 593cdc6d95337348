"""Codes by which a front end proves that it began a sign-in, and gets its result once."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from taskapi.auth.oidc import queries as statements
from taskapi.auth.oidc.identity import Identity
from taskapi.db import database
from taskapi.problems import InvalidInput

SECONDS = 300
"""How long a code can be redeemed. Meanwhile, a user may have to enter a second factor."""

_PURGE_ONE_IN = 20


class InvalidCode(InvalidInput):
    """The code is unknown, expired or was used, or `code_verifier` does not belong to it.

    Begin a new sign-in.
    """

    code = "invalid_code"
    title = "Invalid code"
    detail = "The code is invalid, or code_verifier does not belong to it. Sign in again."


def issue(identity: Identity, challenge: str) -> str:
    """A new code for an identity, which the holder of the challenge's verifier can redeem."""
    code = secrets.token_urlsafe(32)
    if secrets.randbelow(_PURGE_ONE_IN) == 0:
        statements.codes_purge.step()
    database.row(
        statements.store_code,
        code_hash=_hash(code),
        challenge=challenge,
        seconds=SECONDS,
        **identity._asdict(),
    )
    return code


def find(code: str, code_verifier: str) -> Identity:
    """The identity that a code stands for. With a wrong verifier, the code becomes invalid.

    Raises:
        InvalidCode: see there.
    """
    found = database.row(statements.find_code, code_hash=_hash(code))
    if found and _belongs(code_verifier, found["challenge"]):
        return _identity(found)
    return redeem(code, code_verifier)


def redeem(code: str, code_verifier: str) -> Identity:
    """The identity that a code stands for. The code becomes invalid, whatever the verifier is.

    Raises:
        InvalidCode: see there.
    """
    found = database.row(statements.redeem_code, code_hash=_hash(code))
    if not found or not _belongs(code_verifier, found["challenge"]):
        raise InvalidCode
    return _identity(found)


def _identity(found: Mapping[str, Any]) -> Identity:
    if not found["is_valid"]:
        raise InvalidCode
    return Identity(found["issuer"], found["subject"], found["email"])


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


def _belongs(code_verifier: str, challenge: str) -> bool:
    """Whether the challenge was derived from the verifier (RFC 7636 section 4.6)."""
    digest = hashlib.sha256(code_verifier.encode()).digest()
    derived = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return secrets.compare_digest(derived, challenge)
