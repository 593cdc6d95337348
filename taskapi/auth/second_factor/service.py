"""Use cases of the caller's second factor: enroll, confirm, disable, new recovery codes."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

from flask import current_app

from taskapi.auth.locking import locked_account
from taskapi.auth.notices.jobs import notify_second_factor_disabled, notify_second_factor_enabled
from taskapi.auth.reauthentication import WrongPassword, confirm_password
from taskapi.auth.second_factor import codes, verification
from taskapi.auth.second_factor import queries as statements
from taskapi.db import database
from taskapi.db.tenancy import scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import InvalidInput, Problem, SessionEnded


class SecondFactorEnabled(Problem):
    """The account has a second factor already. Disable it first."""

    status = 409
    code = "second_factor_enabled"
    title = "Second factor enabled"
    detail = "The account has a second factor already. Disable it first."


class SecondFactorNotEnabled(Problem):
    """The account has no second factor. To confirm one, enroll first."""

    status = 409
    code = "second_factor_not_enabled"
    title = "Second factor not enabled"
    detail = "The account has no second factor."


class WrongCode(InvalidInput):
    """The code that confirms an operation is wrong, or it was used before."""

    code = "wrong_code"
    title = "Wrong code"
    detail = "The code is wrong, or it was used before."


class Enrollment(NamedTuple):
    """A new secret, for an authenticator app."""

    secret: str
    uri: str
    qr_svg: str


def enroll(caller: Caller, password: str, address: str | None) -> Enrollment:
    """Create a second factor, which is pending until it is confirmed. It replaces a pending one.

    Raises:
        SecondFactorEnabled: there is one that is confirmed.
        WrongPassword, SessionEnded, RateLimited, TooBusy: see there.
    """
    hashed_password = confirm_password(caller, password, address)
    secret = codes.new_secret()
    with locked_account(caller.user_id):
        enrolled = database.row(
            statements.enroll,
            encrypted_secret=verification.encrypted_secret(caller.user_id, secret),
            hashed_password=hashed_password,
            **scope(caller),
        )
    if enrolled is None:
        if _own_factor(caller)["confirmed_at"]:
            raise SecondFactorEnabled
        raise WrongPassword.in_field()
    log_event("second_factor_enrolled", user_id=caller.user_id)
    uri = codes.provisioning_uri(
        secret, enrolled["email"], current_app.config["SECOND_FACTOR_ISSUER"]
    )
    return Enrollment(secret, uri, codes.qr_svg(uri))


def confirm(caller: Caller, code: str) -> list[str]:
    """Turn the pending second factor on by a code of the app, and return its recovery codes.

    Raises:
        SecondFactorEnabled: it is on already.
        SecondFactorNotEnabled: there is none.
        WrongCode, SessionEnded, RateLimited: see there.
    """
    factor = _own_factor(caller)
    if factor["confirmed_at"]:
        raise SecondFactorEnabled
    if factor["created_at"] is None:
        raise SecondFactorNotEnabled
    recovery_codes = codes.new_recovery_codes()
    proof = _verify(caller, factor, code)
    hashes = [codes.recovery_hash(one) for one in recovery_codes]
    parameters = {"recovery_hashes": hashes, **proof, **scope(caller)}
    with locked_account(caller.user_id):
        if not database.row(statements.confirm, **parameters):
            _raise_for_unused_code(caller)
        notify_second_factor_enabled.defer(caller.user_id)
    log_event("second_factor_enabled", user_id=caller.user_id)
    return recovery_codes


def disable(caller: Caller, password: str, code: str, address: str | None) -> None:
    """Turn the second factor off. It and its recovery codes are deleted.

    Raises:
        WrongPassword, WrongCode, SecondFactorNotEnabled, SessionEnded, RateLimited, TooBusy: see
            there.
    """
    proof = _reauthenticate(caller, password, code, address)
    with locked_account(caller.user_id):
        if not database.row(statements.disable, **proof, **scope(caller)):
            _raise_for_unused_code(caller)
        notify_second_factor_disabled.defer(caller.user_id)
    log_event("second_factor_disabled", user_id=caller.user_id)


def replace_recovery_codes(
    caller: Caller, password: str, code: str, address: str | None
) -> list[str]:
    """Return new recovery codes. The previous ones no longer work.

    Raises:
        WrongPassword, WrongCode, SecondFactorNotEnabled, SessionEnded, RateLimited, TooBusy: see
            there.
    """
    proof = _reauthenticate(caller, password, code, address)
    recovery_codes = codes.new_recovery_codes()
    hashes = [codes.recovery_hash(one) for one in recovery_codes]
    parameters = {"recovery_hashes": hashes, **proof, **scope(caller)}
    with locked_account(caller.user_id):
        if not database.row(statements.replace_recovery_codes, **parameters):
            _raise_for_unused_code(caller)
    log_event("recovery_codes_replaced", user_id=caller.user_id)
    return recovery_codes


def _own_factor(caller: Caller) -> dict[str, Any]:
    found = database.row(statements.own_factor, **scope(caller))
    if found is None:
        raise SessionEnded
    return found


def _reauthenticate(
    caller: Caller, password: str, code: str, address: str | None
) -> dict[str, Any]:
    """Verify the password, and return the parameters of a statement that uses the code."""
    hashed_password = confirm_password(caller, password, address)
    factor = _own_factor(caller)
    if not factor["confirmed_at"]:
        raise SecondFactorNotEnabled
    return {"hashed_password": hashed_password, **_verify(caller, factor, code)}


def _verify(caller: Caller, factor: dict[str, Any], code: str) -> verification.Proof:
    return verification.verify(factor, code, by=f"session {caller.session_id}")


def _raise_for_unused_code(caller: Caller) -> NoReturn:
    """Raise the reason why no row was changed: the session has ended, or the code is wrong."""
    _own_factor(caller)
    verification.log_failure(caller.user_id)
    raise WrongCode.at("/code", "Is wrong, or was used before.", "wrong_code")
