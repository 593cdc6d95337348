"""Verification of codes, with limits on attempts: of a login, and of the caller."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import time
from typing import Any

from taskapi.auth import ratelimit
from taskapi.auth.attempts import SECOND_FACTOR
from taskapi.auth.second_factor import queries as statements
from taskapi.auth.second_factor.codes import is_of_app, matching_step, normalized, recovery_hash
from taskapi.db import database
from taskapi.http.encryption import decrypt, encrypt, reencrypt
from taskapi.problems import Problem, Unauthenticated

Proof = Mapping[str, Any]
"""Parameters of the statements that use a code: which secret, and which code of it."""

_events = logging.getLogger("taskapi.event")


class SecondFactorRequired(Problem):
    """The email and the password are right, and the account has a second factor.

    Repeat the login with a `code`.
    """

    status = 401
    code = "second_factor_required"
    title = "Second factor required"
    detail = "A code of the authenticator app or a recovery code is required."
    headers = Unauthenticated.headers


class SecondFactorInvalid(Problem):
    """The email and the password are right, but the `code` of the login is wrong or was used."""

    status = 401
    code = "second_factor_invalid"
    title = "Second factor invalid"
    detail = "The code is wrong, or it was used before."
    headers = Unauthenticated.headers


def verify(factor: Mapping[str, Any], code: str, by: str) -> Proof:
    """Count an attempt, and return the parameters of the statement that uses the code.

    A wrong code has parameters too, by which that statement finds no row.

    Args:
        factor: the stored second factor.
        by: whose attempts have a limit of their own.

    Raises:
        RateLimited, Unavailable: as `ratelimit.spend`.
    """
    given = normalized(code)
    proof = {"created_at": factor["created_at"], "step": 0, "code_hash": b""}
    if not is_of_app(given):
        # Recovery codes cannot be guessed. They work while attempts of others use up the limit.
        return proof | {"code_hash": recovery_hash(given)}
    for limit in SECOND_FACTOR:
        ratelimit.spend(limit, by=by)
    step = _step(factor, given)
    if step > factor["last_step"]:
        for limit in SECOND_FACTOR:
            ratelimit.forget(limit, by=by)
    return proof | {"step": step}


def verify_login(account: Mapping[str, Any], code: str, by: str) -> Proof | None:
    """As `verify`, for a login whose password was verified.

    Returns:
        None if the account has no second factor.

    Raises:
        SecondFactorRequired: there is no code.
        RateLimited, Unavailable: as `ratelimit.spend`.
    """
    if account["encrypted_secret"] is None:
        return None
    if not code:
        raise SecondFactorRequired
    factor = {
        "user_id": account["id"],
        "created_at": account["factor_created_at"],
        "encrypted_secret": account["encrypted_secret"],
        "last_step": account["last_step"],
    }
    return verify(factor, code, by)


@contextmanager
def used(user_id: int, proof: Proof | None) -> Iterator[None]:
    """Use a code in one transaction with the writes of the block. Without a proof, do nothing.

    Raises:
        SecondFactorInvalid: it is wrong, or it was used before.
        Unavailable, OutcomeUnknown: as `database.transaction`.
    """
    if proof is None:
        yield
        return
    with database.transaction():
        found = database.row(statements.use_code, user_id=user_id, **proof)
        if found is None:
            log_failure(user_id)
            raise SecondFactorInvalid
        yield
    if proof["code_hash"]:
        left = found["recovery_codes_left"]
        _events.warning("recovery_code_used", extra={"user_id": user_id, "left": left})


def log_failure(user_id: int) -> None:
    """Log that a code was wrong."""
    _events.warning("second_factor_failed", extra={"user_id": user_id})


def encrypted_secret(user_id: int, secret: str) -> bytes:
    """Return the secret of an account as it is stored."""
    return encrypt(secret.encode(), _purpose(user_id))


def reencrypted_secret(user_id: int, encrypted: bytes) -> bytes | None:
    """Return a stored secret, encrypted with the current key; None if no key matches."""
    return reencrypt(encrypted, _purpose(user_id))


def _step(factor: Mapping[str, Any], code: str) -> int:
    secret = decrypt(factor["encrypted_secret"], _purpose(factor["user_id"]))
    if secret is None:  # the key was removed too early; recovery codes still work
        _events.error("second_factor_unreadable", extra={"user_id": factor["user_id"]})
        return 0
    return matching_step(secret.decode(), code, time())


def _purpose(user_id: int) -> bytes:
    """The purpose of the encryption. A secret is of no use in the row of another account."""
    return b"taskapi second factor v1 %d" % user_id
