"""The operations of the caller's second factor."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.auth.fairness import TooBusy
from taskapi.auth.reauthentication import WrongPassword
from taskapi.auth.schemas import Reauthentication
from taskapi.auth.second_factor import schemas, service
from taskapi.auth.second_factor.service import (
    SecondFactorEnabled,
    SecondFactorNotEnabled,
    WrongCode,
)
from taskapi.http.addresses import client_address
from taskapi.http.operations import operation
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import RateLimited

second_factor = Blueprint("second_factor", __name__, url_prefix="/auth/second-factor")


@second_factor.post("")
@operation(
    summary="Enroll a second factor",
    body=Reauthentication(),
    body_example=schemas.PASSWORD_EXAMPLE,
    response=schemas.Enrollment,
    example=schemas.ENROLLMENT_EXAMPLE,
    problems=(WrongPassword, SecondFactorEnabled, RateLimited, TooBusy),
)
def enroll_second_factor(caller: Caller, body: dict[str, Any]) -> Response:
    """Creates a secret for an authenticator app. Requires the password.

    Logins need no code until the second factor is confirmed by a code of the app. A repeated
    request replaces the secret.
    """
    enrollment = service.enroll(caller, **body, address=client_address(request))
    return json_response(enrollment._asdict())


@second_factor.post("/confirm")
@operation(
    summary="Confirm the second factor",
    body=schemas.AppCode(),
    body_example=schemas.CODE_EXAMPLE,
    response=schemas.RecoveryCodes,
    example=schemas.RECOVERY_CODES_EXAMPLE,
    problems=(WrongCode, SecondFactorEnabled, SecondFactorNotEnabled, RateLimited),
)
def confirm_second_factor(caller: Caller, body: dict[str, Any]) -> Response:
    """Turns the second factor on by a code of the app, and returns recovery codes.

    From then on, a login needs a code. Sessions stay active.
    """
    return json_response({"recovery_codes": service.confirm(caller, **body)})


@second_factor.post("/recovery-codes")
@operation(
    summary="Replace the recovery codes",
    body=schemas.PasswordAndCode(),
    body_example=schemas.PASSWORD_EXAMPLE | schemas.CODE_EXAMPLE,
    response=schemas.RecoveryCodes,
    example=schemas.RECOVERY_CODES_EXAMPLE,
    problems=(WrongPassword, WrongCode, SecondFactorNotEnabled, RateLimited, TooBusy),
)
def replace_recovery_codes(caller: Caller, body: dict[str, Any]) -> Response:
    """Returns new recovery codes. The previous ones no longer work."""
    recovery_codes = service.replace_recovery_codes(caller, **body, address=client_address(request))
    return json_response({"recovery_codes": recovery_codes})


@second_factor.post("/disable")
@operation(
    summary="Disable the second factor",
    body=schemas.PasswordAndCode(),
    body_example=schemas.PASSWORD_EXAMPLE | schemas.CODE_EXAMPLE,
    status=204,
    problems=(WrongPassword, WrongCode, SecondFactorNotEnabled, RateLimited, TooBusy),
)
def disable_second_factor(caller: Caller, body: dict[str, Any]) -> Response:
    """Turns the second factor off. Its secret and its recovery codes are deleted."""
    service.disable(caller, **body, address=client_address(request))
    return Response(status=204)
