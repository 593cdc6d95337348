"""The schemas of personal access tokens."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from taskapi.http.fields import Choice, Id, Ids, Message, Messages, Name, Timestamp
from taskapi.http.pagination import PageFields
from taskapi.http.schemas import Input
from taskapi.http.scopes import SCOPES
from taskapi.http.timezones import Instant
from taskapi.identity import MAX_ID

EXAMPLE = {
    "id": 9,
    "name": "Backup script",
    "scopes": ["tasks:read", "lists:read"],
    "workspace_ids": None,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "last_used_at": "2026-01-06T07:00:12.500000Z",
    "expires_at": None,
}
NEW_EXAMPLE = {name: EXAMPLE[name] for name in ("name", "scopes")}
CREATED_EXAMPLE = EXAMPLE | {"last_used_at": None, "token": "tapi_00000Zx4Lq..."}

MAX_WORKSPACES = 100
_WORKSPACES_ABOUT = (
    "The IDs of the workspaces that the token is for, with that of the user for the personal one."
    " Null for all. They never change."
)
_SCOPES_ABOUT = "What the token may be used for. It never changes."


class Scopes(fields.List[str]):
    """Distinct scopes, deserialized in the order of `SCOPES`."""

    default_error_messages: Messages = {
        "required": Message("Required.", "required"),
        "null": Message("Must not be null.", "null"),
        "invalid": Message("Must be a list of scopes.", "not_a_list"),
        "empty": Message("Must have at least one scope.", "length"),
        "too_many": Message(f"Must have at most {len(SCOPES)} scopes.", "too_many"),
        "repeated": Message("Must not contain a scope twice.", "repeated"),
    }

    def __init__(self, **kwargs: Any) -> None:
        metadata = {
            "minItems": 1,
            "maxItems": len(SCOPES),
            "uniqueItems": True,
            "description": _SCOPES_ABOUT,
        }
        super().__init__(Choice(*SCOPES), metadata=metadata, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> list[str | None]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        if not value:
            raise self.make_error("empty")
        if len(value) > len(SCOPES):
            raise self.make_error("too_many")
        given = super()._deserialize(value, attr, data, **kwargs)
        if len(set(given)) < len(given):
            raise self.make_error("repeated")
        return [scope for scope in SCOPES if scope in given]


class NewToken(Input):
    """A new personal access token."""

    read_only = frozenset({"id", "created_at", "last_used_at", "token"})
    drops_null = True
    name = Name("The name, for people.", required=True)
    scopes = Scopes(required=True)
    workspace_ids = Ids(
        least=1, most=MAX_WORKSPACES, allow_none=True, metadata={"description": _WORKSPACES_ABOUT}
    )
    expires_at = Instant(
        allow_none=True,
        metadata={"description": "When the token expires. By default it does not expire."},
    )


class Token(Schema):
    """A personal access token."""

    id = Id("The ID of the token.")
    name = fields.String(required=True, metadata={"description": "The name, for people."})
    scopes = fields.List(
        fields.String(metadata={"enum": [*SCOPES]}),
        required=True,
        metadata={"description": _SCOPES_ABOUT},
    )
    workspace_ids = fields.List(
        fields.Integer(metadata={"minimum": 1, "maximum": MAX_ID}),
        required=True,
        allow_none=True,
        metadata={"description": _WORKSPACES_ABOUT},
    )
    created_at = Timestamp("When the token was created.")
    last_used_at = Timestamp(
        "When the token was last used, to the minute. Null if it was never used.", allow_none=True
    )
    expires_at = Timestamp("When the token expires. Null if it does not expire.", allow_none=True)


class CreatedToken(Token):
    """A new personal access token, with the token itself."""

    token = fields.String(
        required=True,
        metadata={
            "description": "The token to send as `Authorization: Bearer <token>`. Only this"
            " response contains it."
        },
    )


class TokenPage(PageFields):
    """A page of personal access tokens."""

    tokens = fields.List(
        fields.Nested(Token), required=True, metadata={"description": "The tokens of this page."}
    )


class RevokedTokens(Schema):
    """The number of revoked tokens."""

    revoked = fields.Integer(
        required=True, metadata={"minimum": 0, "description": "The number of revoked tokens."}
    )
