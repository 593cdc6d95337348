"""The schemas of invitations."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.http.fields import EMAIL_FORMAT, EmailAddress, Id, Text, Timestamp
from taskapi.http.schemas import Input
from taskapi.workspaces.members.schemas import GRANTED, ROLE_ABOUT, role_field
from taskapi.workspaces.models import EDITOR

EXAMPLE = {
    "id": 3,
    "workspace_id": 7,
    "email": "ann@example.com",
    "role": EDITOR,
    "invited_by": 1,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "expires_at": "2026-01-12T09:30:00.123456Z",
}
NEW_EXAMPLE = {name: EXAMPLE[name] for name in ("email", "role")}
TOKEN_EXAMPLE = {"token": "te_3q2-7wE..."}
CREATED_EXAMPLE = EXAMPLE | TOKEN_EXAMPLE
OWN_EXAMPLE = EXAMPLE | {"workspace_name": "Family", "inviter_name": "Ada Lovelace"}


class NewInvitation(Input):
    """An invitation."""

    read_only = frozenset({*EXAMPLE, "token"}) - {"email", "role"}
    email = EmailAddress(
        required=True,
        metadata={
            "description": "The email address to invite, of an account or not.",
            "maxLength": 255,
        },
    )
    role = role_field()


class InvitationToken(Input):
    """The token of an invitation."""

    token = Text(
        least=1,
        most=255,
        trim=True,
        required=True,
        metadata={"description": "The token that was sent to the invited email address."},
    )


class Invitation(Schema):
    """An open invitation to a workspace."""

    id = Id("The ID of the invitation.")
    workspace_id = Id("The ID of the workspace.")
    email = fields.String(
        required=True,
        metadata={"format": EMAIL_FORMAT, "description": "The invited email address."},
    )
    role = fields.String(required=True, metadata={"enum": [*GRANTED], "description": ROLE_ABOUT})
    invited_by = Id("The ID of the user who sent the invitation.")
    created_at = Timestamp("When the invitation was sent.")
    expires_at = Timestamp("When the invitation expires.")


class CreatedInvitation(Invitation):
    """A new invitation, with its token."""

    token = fields.String(
        required=True,
        metadata={
            "description": "The token that accepts the invitation. Only this response and the mail"
            " contain it."
        },
    )


class OwnInvitation(Invitation):
    """An invitation, as the invited user sees it."""

    workspace_name = fields.String(
        required=True, metadata={"description": "The name of the workspace."}
    )
    inviter_name = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The name of the user who sent the invitation, or else the email."
        },
    )


class Invitations(Schema):
    """The open invitations to a workspace."""

    invitations = fields.List(
        fields.Nested(Invitation),
        required=True,
        metadata={"description": "The open invitations, the oldest first."},
    )


class OwnInvitations(Schema):
    """The open invitations of an account."""

    invitations = fields.List(
        fields.Nested(OwnInvitation),
        required=True,
        metadata={"description": "The open invitations, the oldest first."},
    )
