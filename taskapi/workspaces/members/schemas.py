"""The schemas of members."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from taskapi.http.fields import Choice, Id, Timestamp, WholeNumber
from taskapi.http.schemas import Input
from taskapi.identity import MAX_ID
from taskapi.workspaces.models import ADMIN, EDITOR, ROLES, VIEWER

GRANTED = (ADMIN, EDITOR, VIEWER)
"""The roles that can be given to members."""

ROLE_ABOUT = (
    "What the member may do: `viewer` reads, `editor` also changes content, `admin` also manages"
    " settings, members and invitations, `owner` also transfers and deletes the workspace."
)
EXAMPLE = {
    "user_id": 2,
    "name": "Ann Lee",
    "email": "ann@example.com",
    "role": EDITOR,
    "created_at": "2026-01-05T09:30:00.123456Z",
}


def role_field(**kwargs: Any) -> Choice:
    """A role that can be given."""
    return Choice(*GRANTED, required=True, metadata={"description": ROLE_ABOUT}, **kwargs)


class RoleChange(Input):
    """A new role."""

    read_only = frozenset({"user_id", "name", "email", "created_at"})
    role = role_field()


class Transfer(Input):
    """The new owner of a workspace."""

    user_id = WholeNumber(
        least=1,
        most=MAX_ID,
        required=True,
        metadata={"description": "The ID of the member who becomes the owner."},
    )


class Member(Schema):
    """A member of a workspace."""

    user_id = Id("The ID of the user.")
    name = fields.String(
        required=True, allow_none=True, metadata={"description": "The name in the user's profile."}
    )
    email = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The email address, for the owner and admins. Null for others."},
    )
    role = fields.String(required=True, metadata={"enum": [*ROLES], "description": ROLE_ABOUT})
    created_at = Timestamp("When the member joined.")


class Members(Schema):
    """The members of a workspace."""

    members = fields.List(
        fields.Nested(Member),
        required=True,
        metadata={"description": "The members, the first joined first."},
    )
