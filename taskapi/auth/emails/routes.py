"""The operations of verified emails, changes of the email, and password resets."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.auth.emails import schemas, service
from taskapi.auth.emails.service import LinkInvalid
from taskapi.auth.fairness import TooBusy
from taskapi.auth.reauthentication import WrongPassword
from taskapi.auth.schemas import USER_EXAMPLE, Message, User
from taskapi.auth.service import EmailTaken
from taskapi.http.addresses import client_address
from taskapi.http.operations import operation
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import RateLimited

emails = Blueprint("emails", __name__, url_prefix="/auth")


@emails.post("/email/verification")
@operation(
    summary="Send the verification again",
    status=202,
    response=Message,
    example={"message": "Verification sent"},
    problems=(RateLimited,),
)
def send_verification(caller: Caller) -> Response:
    """Sends the link that verifies the email again, unless it is verified.

    The first one is sent after registration. Links are valid for three days.
    """
    service.resend_verification(caller, client_address(request))
    return json_response({"message": "Verification sent"}, 202)


@emails.post("/email/verify")
@operation(
    summary="Verify an email",
    is_public=True,
    body=schemas.EmailProof(),
    body_example=schemas.PROOF_EXAMPLE,
    response=User,
    example=USER_EXAMPLE,
    problems=(LinkInvalid, EmailTaken, RateLimited),
)
def verify_email(body: dict[str, Any]) -> Response:
    """Verifies the email of an account, or confirms its new email, which then takes effect.

    The token is in the link of a mail. The old address of a changed email is notified, and can
    undo the change for seven days if it was verified.
    """
    return json_response(service.verify_email(**body, address=client_address(request)))


@emails.post("/email")
@operation(
    summary="Change the email",
    body=schemas.EmailChange(),
    body_example={"new_email": "ada@example.org", "password": "correct horse battery"},
    status=202,
    response=Message,
    example={"message": "Confirmation sent"},
    problems=(WrongPassword, RateLimited, TooBusy),
)
def change_email(caller: Caller, body: dict[str, Any]) -> Response:
    """Sends a link to the new address. The email changes when the link is used, within a day.

    Requires the password. A later request replaces the previous one. The response is the same if
    another account has the address; then only the address is notified.
    """
    service.request_change(caller, **body, address=client_address(request))
    return json_response({"message": "Confirmation sent"}, 202)


@emails.post("/email/undo")
@operation(
    summary="Undo a change of the email",
    is_public=True,
    body=schemas.EmailProof(),
    body_example=schemas.PROOF_EXAMPLE,
    response=Message,
    example={"message": "Email restored"},
    problems=(LinkInvalid, EmailTaken, RateLimited),
)
def undo_email_change(body: dict[str, Any]) -> Response:
    """Restores the email that an account had before a change, for seven days after it.

    The token is in the link of the mail to the old address. All sessions and personal access tokens
    of the account end, and its password becomes invalid. Its identities are removed, and a second
    factor that was enabled in the last 14 days. A link that sets a new password is sent to the
    restored address.
    """
    service.undo_change(**body, address=client_address(request))
    return json_response({"message": "Email restored"})


@emails.post("/password/forgot")
@operation(
    summary="Request a password reset",
    is_public=True,
    body=schemas.ForgottenPassword(),
    body_example={"email": "ada@example.com"},
    status=202,
    response=Message,
    example={"message": "If there is an account with this email, a link was sent to it"},
    problems=(RateLimited,),
)
def forgot_password(body: dict[str, Any]) -> Response:
    """Sends a link that resets the password, if there is an active account with this email.

    The response is the same without one. A link is valid for an hour.
    """
    service.forgot_password(**body, address=client_address(request))
    message = "If there is an account with this email, a link was sent to it"
    return json_response({"message": message}, 202)


@emails.post("/password/reset")
@operation(
    summary="Reset the password",
    is_public=True,
    body=schemas.PasswordReset(),
    body_example={**schemas.PROOF_EXAMPLE, "new_password": "staple 42 times"},
    response=Message,
    example={"message": "Password reset"},
    problems=(LinkInvalid, RateLimited, TooBusy),
)
def reset_password(body: dict[str, Any]) -> Response:
    """Sets a new password, ends all sessions of the account, and verifies its email.

    The token is in the link of a mail. Other links that were sent to the account become invalid,
    except those that undo a change of its email. If the email was not verified before, personal
    access tokens, identities and the second factor of the account are removed too.
    """
    service.reset_password(**body, address=client_address(request))
    return json_response({"message": "Password reset"})
