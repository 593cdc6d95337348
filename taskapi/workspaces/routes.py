"""The operations of shared workspaces."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from taskapi.db.quotas import QuotaExceeded
from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import Link, operation
from taskapi.http.responses import json_response
from taskapi.identity import Caller
from taskapi.problems import Forbidden, InsufficientRole, NotFound
from taskapi.workspaces import schemas, service
from taskapi.workspaces.members.schemas import Transfer

workspaces = Blueprint("workspaces", __name__, url_prefix="/workspaces")

_WORKSPACE = {"response": schemas.Workspace, "example": schemas.EXAMPLE}
_PROBLEMS = (Forbidden, NotFound, InsufficientRole)


@workspaces.get("")
@operation(
    summary="List workspaces",
    scopes=("workspaces:read",),
    response=schemas.Workspaces,
    example={"workspaces": [schemas.EXAMPLE]},
    links=(Link("get_workspace", {"workspace_id": "$response.body#/workspaces/0/id"}),),
)
def list_workspaces(caller: Caller) -> Response:
    """Returns the shared workspaces that the caller is a member of, the oldest first.

    The content of the workspace 7 is below `/workspaces/7`, as that of the personal workspace is at
    the root: `/workspaces/7/tasks`. A personal access token gets only the workspaces that it is
    for.
    """
    return json_response({"workspaces": service.list_workspaces(caller)})


@workspaces.post("")
@operation(
    summary="Create a workspace",
    body=schemas.NewWorkspace(),
    body_example=schemas.NEW_EXAMPLE,
    status=201,
    problems=(QuotaExceeded,),
    parameters=("Idempotency-Key",),
    headers=("Location", "Idempotency-Replayed"),
    links=(Link("get_workspace", {"workspace_id": "$response.body#/id"}),),
    **_WORKSPACE,
)
def create_workspace(caller: Caller, body: dict[str, Any]) -> Response:
    """Creates a workspace with an inbox. The caller owns it, and can invite others."""
    created = service.create_workspace(caller, **body)
    return json_response(created, 201, {"Location": f"/workspaces/{created['id']}"})


@workspaces.get("/<id:workspace_id>")
@operation(
    summary="Get a workspace",
    scopes=("workspaces:read",),
    problems=(Forbidden, NotFound),
    **_WORKSPACE,
)
def get_workspace(caller: Caller, workspace_id: int) -> Response:
    """Returns a workspace. A personal workspace is not found here."""
    return json_response(service.get_workspace(caller, workspace_id))


@workspaces.patch("/<id:workspace_id>")
@operation(
    summary="Rename a workspace",
    body=schemas.WorkspaceChanges(),
    body_example=schemas.NEW_EXAMPLE,
    media_types=(JSON, MERGE_PATCH),
    problems=_PROBLEMS,
    **_WORKSPACE,
)
def rename_workspace(caller: Caller, workspace_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396). Requires the role `admin` or `owner`."""
    return json_response(service.rename_workspace(caller, workspace_id, body.get("name")))


@workspaces.delete("/<id:workspace_id>")
@operation(summary="Delete a workspace", status=204, problems=_PROBLEMS)
def delete_workspace(caller: Caller, workspace_id: int) -> Response:
    """Deletes a workspace and all its content. Only its owner can do this. It cannot be undone."""
    service.delete_workspace(caller, workspace_id)
    return Response(status=204)


@workspaces.post("/<id:workspace_id>/transfer")
@operation(
    summary="Transfer a workspace",
    body=Transfer(),
    body_example={"user_id": 2},
    problems=(*_PROBLEMS, QuotaExceeded),
    response=schemas.Workspace,
    example=schemas.EXAMPLE | {"owner_id": 2, "role": "admin"},
)
def transfer_workspace(caller: Caller, workspace_id: int, body: dict[str, Any]) -> Response:
    """Makes another member the owner. Only the owner can do this, and becomes an admin."""
    return json_response(service.transfer_workspace(caller, workspace_id, **body))
