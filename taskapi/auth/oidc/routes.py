"""The operations of sign-ins with OpenID Connect and of identities."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.auth.fairness import TooBusy
from taskapi.auth.oidc import identities, schemas, service
from taskapi.auth.oidc.codes import InvalidCode
from taskapi.auth.oidc.flow import SECONDS
from taskapi.auth.reauthentication import WrongPassword
from taskapi.auth.responses import device_of, login_response
from taskapi.auth.schemas import LOGIN_EXAMPLE, Login, Message
from taskapi.auth.second_factor.verification import SecondFactorInvalid, SecondFactorRequired
from taskapi.auth.service import AccountInactive, EmailTaken
from taskapi.http.addresses import client_address
from taskapi.http.operations import Link, operation
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import NotFound, RateLimited

oidc = Blueprint("oidc", __name__, url_prefix="/auth")


@oidc.get("/oidc/providers")
@operation(
    summary="List providers",
    is_public=True,
    response=schemas.Providers,
    example=schemas.PROVIDERS_EXAMPLE,
)
def list_providers() -> Response:
    """Returns the OpenID Connect providers that users can sign in with."""
    return json_response({"providers": service.providers()})


@oidc.get("/oidc/<provider>/authorize")
@operation(
    summary="Sign in with a provider",
    is_public=True,
    query=schemas.SignInQuery(),
    status=303,
    headers=("Location", "Set-Cookie"),
    problems=(NotFound, RateLimited),
)
def authorize(provider: str, query: dict[str, Any]) -> Response:
    """Sends the browser to a provider, and back to `redirect_uri` when the user has signed in.

    Open this URL in the browser; do not fetch it. The browser returns with `code`, for
    `POST /auth/oidc/token`, or with `error`: `access_denied`, `sign_in_failed` or
    `temporarily_unavailable`. Both have the `state` of this request.
    """
    target = service.begin(provider, query, client_address(request))
    response = _redirect(target)
    for name in service.surplus_cookies(request.cookies):
        response.delete_cookie(name, **service.cookie_options())
    return response


@oidc.get("/oidc/<provider>/callback")
def callback(provider: str) -> Response:
    """Receives the browser from a provider, and sends it back to the front end."""
    address = client_address(request)
    return _redirect(service.finish(provider, request.args, request.cookies, address))


@oidc.post("/oidc/token")
@operation(
    summary="Log in with the code of a sign-in",
    is_public=True,
    body=schemas.SignIn(),
    body_example=schemas.CODE_EXAMPLE,
    response=Login,
    example=LOGIN_EXAMPLE,
    problems=(
        InvalidCode,
        SecondFactorRequired,
        SecondFactorInvalid,
        EmailTaken,
        AccountInactive,
        service.ProviderEmailNotVerified,
        service.AccountNotLinked,
        RateLimited,
    ),
    links=(Link("refresh", body={"refresh_token": "$response.body#/refresh_token"}),),
)
def exchange_code(body: dict[str, Any]) -> Response:
    """Creates a session, as `POST /auth/login` does. A code works once, for five minutes.

    If the account has a second factor, a request without `second_factor_code` returns 401 with the
    code `second_factor_required`. The code of the sign-in can then be sent again.

    An identity that is linked to no account is linked to the account with its email if both sides
    have verified it. If there is no such account, it is created, without a password.
    """
    return login_response(service.sign_in(**body, device=device_of(request)))


@oidc.post("/oidc/password")
@operation(
    summary="Set the password after a sign-in",
    body=schemas.NewPassword(),
    body_example={**schemas.CODE_EXAMPLE, "new_password": "staple 42 times"},
    response=Message,
    example={"message": "Password changed"},
    problems=(InvalidCode, identities.IdentityNotLinked, RateLimited, TooBusy),
)
def set_password_by_identity(caller: Caller, body: dict[str, Any]) -> Response:
    """Sets the password without the current one, which some accounts lack. Ends all other sessions.

    Requires a new sign-in with an identity of the account.
    """
    identities.set_password(caller, **body, address=client_address(request))
    return json_response({"message": "Password changed"})


@oidc.get("/identities")
@operation(
    summary="List identities",
    response=schemas.Identities,
    example={"identities": [schemas.IDENTITY_EXAMPLE], "has_password": True},
)
def list_identities(caller: Caller) -> Response:
    """Returns the identities that can log in to the account, and whether a password can, too."""
    return json_response(identities.list_identities(caller))


@oidc.post("/identities")
@operation(
    summary="Link an identity",
    body=schemas.NewIdentity(),
    body_example={**schemas.CODE_EXAMPLE, "password": "correct horse battery"},
    status=201,
    response=schemas.Identity,
    example=schemas.IDENTITY_EXAMPLE,
    problems=(
        InvalidCode,
        WrongPassword,
        identities.AccountEmailNotVerified,
        identities.IdentityTaken,
        identities.IdentityLimit,
        RateLimited,
        TooBusy,
    ),
)
def create_identity(caller: Caller, body: dict[str, Any]) -> Response:
    """Links the identity of a sign-in to the account. Requires the password.

    An account without a password sets it first. An identity with the email of the account verifies
    it; other identities require that it is verified.
    """
    linked = identities.link_identity(caller, **body, address=client_address(request))
    return json_response(linked, 201)


@oidc.delete("/identities/<id:identity_id>")
@operation(
    summary="Remove an identity", status=204, problems=(NotFound, identities.LastLoginMethod)
)
def delete_identity(caller: Caller, identity_id: int) -> Response:
    """Removes an identity, unless it is the last way to log in. Sessions continue."""
    identities.remove_identity(caller, identity_id)
    return Response(status=204)


def _redirect(target: service.ReturnAddress) -> Response:
    response = Response(status=303)
    response.headers["Location"] = target.url
    # The address contains a code.
    response.headers["Referrer-Policy"] = "no-referrer"
    options = service.cookie_options()
    if target.cookie:
        response.set_cookie(target.cookie_name, target.cookie, max_age=SECONDS, **options)
    else:
        response.delete_cookie(target.cookie_name, **options)
    return response
