"""The operations of invitations: of a workspace, and of the invited account."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.operations import Link, operation
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import Forbidden, InsufficientRole, NotFound, RateLimited
from taskapi.workspaces.invitations import schemas, service
from taskapi.workspaces.invitations.service import AlreadyMember, InvitationInvalid
from taskapi.workspaces.schemas import EXAMPLE as WORKSPACE_EXAMPLE
from taskapi.workspaces.schemas import Workspace

invitations = Blueprint("invitations", __name__)

_OF_WORKSPACE = "/workspaces/<id:workspace_id>/invitations"
_OF_WORKSPACE_PROBLEMS = (Forbidden, NotFound, InsufficientRole)
_ACCEPTING: dict[str, Any] = {
    "response": Workspace,
    "example": WORKSPACE_EXAMPLE | {"role": schemas.EXAMPLE["role"]},
    "problems": (InvitationInvalid, Forbidden, NotFound, QuotaExceeded),
    "links": (Link("get_workspace", {"workspace_id": "$response.body#/id"}),),
    "parameters": ("Idempotency-Key",),
    "headers": ("Idempotency-Replayed",),
}
_DECLINING: dict[str, Any] = {
    "status": 204,
    "problems": (InvitationInvalid, Forbidden, NotFound),
}
_BY_TOKEN: dict[str, Any] = {
    "body": schemas.InvitationToken(),
    "body_example": schemas.TOKEN_EXAMPLE,
}


@invitations.get(_OF_WORKSPACE)
@operation(
    summary="List the invitations of a workspace",
    response=schemas.Invitations,
    example={"invitations": [schemas.EXAMPLE]},
    problems=_OF_WORKSPACE_PROBLEMS,
)
def list_invitations(caller: Caller, workspace_id: int) -> Response:
    """Returns the open invitations. Requires the role `admin` or `owner`."""
    return json_response({"invitations": service.list_invitations(caller, workspace_id)})


@invitations.post(_OF_WORKSPACE)
@operation(
    summary="Invite someone to a workspace",
    body=schemas.NewInvitation(),
    body_example=schemas.NEW_EXAMPLE,
    status=201,
    response=schemas.CreatedInvitation,
    example=schemas.CREATED_EXAMPLE,
    problems=(*_OF_WORKSPACE_PROBLEMS, AlreadyMember, QuotaExceeded, RateLimited),
    parameters=("Idempotency-Key",),
    headers=("Idempotency-Replayed",),
    returns_token=True,
    links=(
        Link(
            "revoke_invitation",
            {
                "workspace_id": "$response.body#/workspace_id",
                "invitation_id": "$response.body#/id",
            },
        ),
    ),
)
def create_invitation(caller: Caller, workspace_id: int, body: dict[str, Any]) -> Response:
    """Sends an invitation, which is valid for seven days. Requires the role `admin` or `owner`.

    An earlier invitation of the email address is replaced, and its token is void. The response is
    the same whether or not the address has an account.
    """
    return json_response(service.invite(caller, workspace_id, **body), 201)


@invitations.delete(f"{_OF_WORKSPACE}/<id:invitation_id>")
@operation(summary="Revoke an invitation", status=204, problems=_OF_WORKSPACE_PROBLEMS)
def revoke_invitation(caller: Caller, workspace_id: int, invitation_id: int) -> Response:
    """Revokes an invitation. Requires the role `admin` or `owner`."""
    service.revoke(caller, workspace_id, invitation_id)
    return Response(status=204)


@invitations.get("/invitations")
@operation(
    summary="List your invitations",
    response=schemas.OwnInvitations,
    example={"invitations": [schemas.OWN_EXAMPLE]},
)
def list_own_invitations(caller: Caller) -> Response:
    """Returns the open invitations for the email of the account.

    There are none until the email is verified. Until then, an invitation can be accepted with its
    token.
    """
    return json_response({"invitations": service.own_invitations(caller)})


@invitations.post("/invitations/accept")
@operation(summary="Accept an invitation by its token", **_BY_TOKEN, **_ACCEPTING)
def accept_invitation_token(caller: Caller, body: dict[str, Any]) -> Response:
    """Makes the caller a member of the workspace. The email of the account must be the invited one.

    It need not be verified. A token can be used once. A member keeps the role.
    """
    return json_response(service.accept(caller, token=body["token"]))


@invitations.post("/invitations/decline")
@operation(summary="Decline an invitation by its token", **_BY_TOKEN, **_DECLINING)
def decline_invitation_token(caller: Caller, body: dict[str, Any]) -> Response:
    """Declines an invitation, which is deleted."""
    service.decline(caller, token=body["token"])
    return Response(status=204)


@invitations.post("/invitations/<id:invitation_id>/accept")
@operation(summary="Accept an invitation", **_ACCEPTING)
def accept_invitation(caller: Caller, invitation_id: int) -> Response:
    """Makes the caller a member of the workspace. The email of the account must be verified."""
    return json_response(service.accept(caller, invitation_id=invitation_id))


@invitations.post("/invitations/<id:invitation_id>/decline")
@operation(summary="Decline an invitation", **_DECLINING)
def decline_invitation(caller: Caller, invitation_id: int) -> Response:
    """Declines an invitation, which is deleted. The email of the account must be verified."""
    service.decline(caller, invitation_id=invitation_id)
    return Response(status=204)
