"""The schemas of workspaces."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.auth.schemas import ACCOUNT_EXAMPLE, quotas_field
from taskapi.http.fields import Id, Name, Timestamp
from taskapi.http.schemas import Input
from taskapi.workspaces.members.schemas import ROLE_ABOUT
from taskapi.workspaces.models import OWNER, ROLES

EXAMPLE = {
    "id": 7,
    "name": "Family",
    "owner_id": 1,
    "role": OWNER,
    "member_count": 3,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "updated_at": "2026-01-05T09:30:00.123456Z",
    "quotas": ACCOUNT_EXAMPLE["quotas"],
}
NEW_EXAMPLE = {"name": EXAMPLE["name"]}

_READ_ONLY = frozenset(EXAMPLE) - {"name"}


class NewWorkspace(Input):
    """A new workspace."""

    read_only = _READ_ONLY
    name = Name("The name, which need not be unique.", required=True)


class WorkspaceChanges(Input):
    """Changes to a workspace."""

    read_only = _READ_ONLY
    name = Name("The name, which need not be unique.")


class Workspace(Schema):
    """A workspace that several people share."""

    id = Id("The ID of the workspace. It is the ID of its inbox, too.")
    name = fields.String(required=True, metadata={"description": "The name."})
    owner_id = Id("The ID of the user who owns the workspace.")
    role = fields.String(
        required=True,
        metadata={"enum": [*ROLES], "description": f"The caller's role. {ROLE_ABOUT}"},
    )
    member_count = fields.Integer(
        required=True, metadata={"minimum": 1, "description": "The number of members."}
    )
    created_at = Timestamp("When the workspace was created.")
    updated_at = Timestamp("When the name or the owner was last changed.")
    quotas = quotas_field()


class Workspaces(Schema):
    """The workspaces of an account."""

    workspaces = fields.List(
        fields.Nested(Workspace),
        required=True,
        metadata={"description": "The workspaces, the oldest first."},
    )
