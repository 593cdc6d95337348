"""The operations of personal access tokens. No such token can use them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from taskapi.auth.personal_tokens import schemas, service
from taskapi.db.quotas import QuotaExceeded
from taskapi.http.operations import Link, operation
from taskapi.http.pagination import PageQuery
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import NotFound, RateLimited

personal_tokens = Blueprint("tokens", __name__, url_prefix="/auth/tokens")


@personal_tokens.get("")
@operation(
    summary="List personal access tokens",
    query=PageQuery(),
    response=schemas.TokenPage,
    example={"tokens": [schemas.EXAMPLE], "total": 1, "next_cursor": None},
    links=(Link("list_tokens", {"cursor": "$response.body#/next_cursor"}),),
)
def list_tokens(caller: Caller, query: dict[str, Any]) -> Response:
    """Returns the valid personal access tokens of the account, newest first."""
    return json_response(service.list_tokens(caller, query)._asdict())


@personal_tokens.post("")
@operation(
    summary="Create a personal access token",
    body=schemas.NewToken(),
    body_example=schemas.NEW_EXAMPLE,
    status=201,
    response=schemas.CreatedToken,
    example=schemas.CREATED_EXAMPLE,
    problems=(QuotaExceeded, RateLimited),
    parameters=("Idempotency-Key",),
    headers=("Idempotency-Replayed",),
    returns_token=True,
    links=(Link("revoke_token", {"token_id": "$response.body#/id"}),),
)
def create_token(caller: Caller, body: dict[str, Any]) -> Response:
    """Creates a personal access token. Only this response contains the token itself.

    A token can be used like an access token, for the operations that its scopes allow. It is never
    allowed to manage tokens, sessions, the password or the account.
    """
    return json_response(service.create_token(caller, **body), 201)


@personal_tokens.delete("")
@operation(
    summary="Revoke all personal access tokens",
    response=schemas.RevokedTokens,
    example={"revoked": 2},
)
def revoke_all_tokens(caller: Caller) -> Response:
    """Revokes all personal access tokens of the account. They are invalid immediately."""
    return json_response({"revoked": service.revoke_all_tokens(caller)})


@personal_tokens.delete("/<id:token_id>")
@operation(summary="Revoke a personal access token", status=204, problems=(NotFound,))
def revoke_token(caller: Caller, token_id: int) -> Response:
    """Revokes a personal access token. It is invalid immediately."""
    service.revoke_token(caller, token_id)
    return Response(status=204)
