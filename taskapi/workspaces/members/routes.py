"""The operations of the members of a workspace."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import Forbidden, InsufficientRole, NotFound
from taskapi.workspaces.members import schemas, service
from taskapi.workspaces.members.service import OwnerCannotLeave

members = Blueprint("members", __name__, url_prefix="/workspaces/<id:workspace_id>/members")

_PROBLEMS = (Forbidden, NotFound, InsufficientRole)


@members.get("")
@operation(
    summary="List members",
    scopes=("workspaces:read",),
    response=schemas.Members,
    example={"members": [schemas.EXAMPLE]},
    problems=(Forbidden, NotFound),
)
def list_members(caller: Caller, workspace_id: int) -> Response:
    """Returns the members of a workspace. Only the owner and admins see their email addresses."""
    return json_response({"members": service.list_members(caller, workspace_id)})


@members.patch("/<id:user_id>")
@operation(
    summary="Change a member's role",
    body=schemas.RoleChange(),
    body_example={"role": schemas.EXAMPLE["role"]},
    media_types=(JSON, MERGE_PATCH),
    response=schemas.Member,
    example=schemas.EXAMPLE,
    problems=_PROBLEMS,
)
def set_member_role(
    caller: Caller, workspace_id: int, user_id: int, body: dict[str, Any]
) -> Response:
    """Sets the role of a member. Requires the role `admin` or `owner`.

    The role holds for the member's next request. The owner's role changes only by a transfer. The
    open invitations that the member has sent are revoked if the new role allows no invitations.
    """
    return json_response(service.set_role(caller, workspace_id, user_id, **body))


@members.delete("/<id:user_id>")
@operation(summary="Remove a member", status=204, problems=(*_PROBLEMS, OwnerCannotLeave))
def remove_member(caller: Caller, workspace_id: int, user_id: int) -> Response:
    """Removes a member, which requires the role `admin` or `owner`, or leaves the workspace.

    The member's tasks are unassigned. What the member wrote stays. The open invitations that the
    member has sent are revoked.
    """
    service.remove_member(caller, workspace_id, user_id)
    return Response(status=204)
