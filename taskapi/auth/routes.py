"""The operations of accounts and sessions."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.auth import reauthentication, schemas, service, sessions
from taskapi.auth.fairness import TooBusy
from taskapi.auth.memberships import OwnsWorkspace
from taskapi.auth.profile import service as profiles
from taskapi.auth.profile.schemas import EXAMPLE as PROFILE_EXAMPLE
from taskapi.auth.reauthentication import WrongPassword
from taskapi.auth.responses import device_of, login_response
from taskapi.auth.second_factor.verification import SecondFactorInvalid, SecondFactorRequired
from taskapi.auth.service import EmailTaken, InvalidCredentials
from taskapi.http import idempotency
from taskapi.http.addresses import client_address
from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import Link, operation
from taskapi.http.pagination import PageQuery
from taskapi.http.personal_tokens import authenticate_by_token
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import (
    InsufficientScope,
    NotFound,
    RateLimited,
    SessionEnded,
    TokenInvalid,
    Unauthenticated,
)

auth = Blueprint("auth", __name__, url_prefix="/auth")

_KEYED = {"parameters": ("Idempotency-Key",), "headers": ("Idempotency-Replayed",)}
_LINKS = (Link("refresh", body={"refresh_token": "$response.body#/refresh_token"}),)


@auth.post("/register")
@operation(
    summary="Register an account",
    is_public=True,
    body=schemas.NewUser(),
    body_example=schemas.CREDENTIALS_EXAMPLE,
    status=201,
    response=schemas.Login,
    example=schemas.LOGIN_EXAMPLE,
    problems=(EmailTaken, RateLimited, TooBusy),
    idempotency_owner=lambda body: idempotency.owner_by_email(body["email"]),
    links=_LINKS,
    **_KEYED,
)
def register(body: dict[str, Any]) -> Response:
    """Creates an account and its first session."""
    return login_response(service.register(**body, device=device_of(request)), 201)


@auth.post("/login")
@operation(
    summary="Log in",
    is_public=True,
    body=schemas.Credentials(),
    body_example=schemas.CREDENTIALS_EXAMPLE,
    response=schemas.Login,
    example=schemas.LOGIN_EXAMPLE,
    problems=(
        InvalidCredentials,
        SecondFactorRequired,
        SecondFactorInvalid,
        service.AccountInactive,
        RateLimited,
        TooBusy,
    ),
    idempotency_owner=lambda body: idempotency.owner_by_email(body["email"]),
    links=_LINKS,
    **_KEYED,
)
def login(body: dict[str, Any]) -> Response:
    """Creates a session. Each device has its own session, which can be ended separately.

    If the account has a second factor, a login without a `code` returns 401 with the code
    `second_factor_required`.
    """
    return login_response(service.login(**body, device=device_of(request)))


@auth.post("/refresh")
@operation(
    summary="Get a new access token",
    is_public=True,
    body=schemas.RefreshRequest(),
    body_example={"refresh_token": schemas.LOGIN_EXAMPLE["refresh_token"]},
    response=schemas.Login,
    example=schemas.LOGIN_EXAMPLE,
    problems=(TokenInvalid, SessionEnded, RateLimited),
    idempotency_owner=service.owner_of_refresh,
    links=_LINKS,
    **_KEYED,
)
def refresh(body: dict[str, Any]) -> Response:
    """Exchanges a refresh token for a new access token and a new refresh token.

    A refresh token can be used once. For ten seconds after its use it returns the current refresh
    token of the session, in case a response is lost or several tabs refresh. Later reuse ends the
    session, because the token may have been stolen.
    """
    return login_response(service.refresh(**body, address=client_address(request)))


@auth.post("/logout")
@operation(
    summary="Log out",
    is_public=True,
    is_token_optional=True,
    response=schemas.Message,
    example={"message": "Logged out"},
    problems=(TokenInvalid, InsufficientScope),
)
def logout() -> Response:
    """Ends the session of the access token. Its tokens are invalid immediately.

    Without a token, or if the session has ended, the response is the same. An expired access token
    is accepted. An invalid one returns 401. Personal access tokens are revoked otherwise.
    """
    caller = _caller_to_log_out()
    if caller:
        service.logout(caller)
    return json_response({"message": "Logged out"})


@auth.get("/me")
@operation(
    summary="Get the account",
    scopes=("profile:read",),
    response=schemas.Account,
    example=schemas.ACCOUNT_EXAMPLE,
)
def get_me(caller: Caller) -> Response:
    """Returns the account of the access token: its profile, second factor and use of its quotas."""
    return json_response(profiles.get_me(caller))


@auth.patch("/me")
@operation(
    summary="Update the profile",
    body=schemas.ProfileChanges(),
    body_example=PROFILE_EXAMPLE,
    media_types=(JSON, MERGE_PATCH),
    response=schemas.Account,
    example=schemas.ACCOUNT_EXAMPLE,
)
def update_me(caller: Caller, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396) to the profile. Null clears a field.

    The time zone is the default wherever a request can have a time zone.
    """
    return json_response(profiles.update_profile(caller, body))


@auth.post("/password")
@operation(
    summary="Change the password",
    body=schemas.PasswordChange(),
    body_example={"current_password": "correct horse battery", "new_password": "staple 42 times"},
    response=schemas.Message,
    example={"message": "Password changed"},
    problems=(WrongPassword, RateLimited, TooBusy),
    **_KEYED,
)
def change_password(caller: Caller, body: dict[str, Any]) -> Response:
    """Changes the password and ends all other sessions. Requires the current password.

    Personal access tokens stay valid, unless `revoke_tokens` is true.
    """
    reauthentication.change_password(caller, **body, address=client_address(request))
    return json_response({"message": "Password changed"})


@auth.post("/delete")
@operation(
    summary="Delete the account",
    body=schemas.Reauthentication(),
    body_example={"password": "correct horse battery"},
    status=204,
    problems=(WrongPassword, OwnsWorkspace, RateLimited, TooBusy),
)
def delete_account(caller: Caller, body: dict[str, Any]) -> Response:
    """Deletes the account and all its data. Requires the password. This cannot be undone.

    The sessions end and the email is free at once. The data of a very large account is deleted
    later, in small steps. What you wrote in shared workspaces stays there.
    """
    reauthentication.delete_account(caller, **body, address=client_address(request))
    return Response(status=204)


@auth.get("/sessions")
@operation(
    summary="List sessions",
    query=PageQuery(),
    response=schemas.SessionPage,
    example={"sessions": [schemas.SESSION_EXAMPLE], "total": 1, "next_cursor": None},
    links=(Link("list_sessions", {"cursor": "$response.body#/next_cursor"}),),
)
def list_sessions(caller: Caller, query: dict[str, Any]) -> Response:
    """Returns the active sessions of the account, newest first."""
    return json_response(sessions.list_sessions(caller, query)._asdict())


@auth.delete("/sessions/<id:session_id>")
@operation(summary="End a session", status=204, problems=(NotFound,))
def end_session(caller: Caller, session_id: int) -> Response:
    """Ends a session of the account. Its tokens are invalid immediately."""
    sessions.end_session(caller, session_id)
    return Response(status=204)


@auth.delete("/sessions")
@operation(summary="End all other sessions", response=schemas.EndedSessions, example={"ended": 2})
def end_other_sessions(caller: Caller) -> Response:
    """Ends all sessions of the account except the current one."""
    return json_response({"ended": sessions.end_other_sessions(caller)})


def _caller_to_log_out() -> Caller | None:
    try:
        caller = authenticate_by_token(request, accept_expired=True)
    except TokenInvalid:
        raise
    except Unauthenticated:
        return None
    if caller.scopes is not None:
        raise InsufficientScope
    return caller
