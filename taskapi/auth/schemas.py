"""The schemas of accounts and sessions."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from taskapi.auth.profile.schemas import EXAMPLE as PROFILE_EXAMPLE
from taskapi.auth.profile.schemas import Profile
from taskapi.db.quotas import QUOTAS
from taskapi.http.fields import (
    EMAIL_FORMAT,
    CurrentPassword,
    EmailAddress,
    Id,
    Password,
    Text,
    Timestamp,
    TrueOrFalse,
)
from taskapi.http.pagination import PageFields
from taskapi.http.representation import declared_fields, input_schemas, output_schema
from taskapi.http.schemas import Input

_READ_ONLY = frozenset({"id", "email_verified", "created_at"})

USER_EXAMPLE = {
    "id": 1,
    "email": "ada@example.com",
    "email_verified": True,
    "created_at": "2026-01-05T09:30:00.123456Z",
}
ACCOUNT_EXAMPLE = {
    **USER_EXAMPLE,
    **PROFILE_EXAMPLE,
    "second_factor": {"is_enabled": True, "recovery_codes_left": 10},
    "quotas": {
        "tasks": {"used": 42, "limit": 100_000},
        "lists": {"used": 3, "limit": 1_000},
        "labels": {"used": 5, "limit": 1_000},
        "filters": {"used": 2, "limit": 1_000},
        "occurrences": {"used": 17, "limit": 1_000_000},
        "comments": {"used": 8, "limit": 100_000},
        "text_bytes": {"used": 4_071, "limit": 100_000_000},
    },
}
CREDENTIALS_EXAMPLE = {"email": "ada@example.com", "password": "correct horse battery"}
LOGIN_EXAMPLE = {
    "access_token": "eyJhbGciOiJIUzI1NiIsImtpZCI6Ij...",
    "token_type": "bearer",
    "expires_in": 86400,
    "refresh_token": "tr_AAAAAAAAAAEAAAAAAAAAAf1v...",
    "user": USER_EXAMPLE,
}
SESSION_EXAMPLE = {
    "id": 3,
    "created_at": "2026-01-05T09:30:00.123456Z",
    "last_used_at": "2026-01-06T07:00:12.500000Z",
    "expires_at": "2026-02-05T07:00:12.500000Z",
    "user_agent": "curl/8.5.0",
    "address": "203.0.113.7",
    "is_current": True,
}


def code_field(about: str, **kwargs: Any) -> Text:
    """A field for a code of an authenticator app or a recovery code."""
    text = f"{about} Case, white space and hyphens are ignored."
    return Text(least=1, most=64, load_only=True, metadata={"description": text}, **kwargs)


class NewUser(Input):
    """A new account."""

    read_only = _READ_ONLY
    email = EmailAddress(
        required=True,
        metadata={
            "description": "The email address, stored in lower case. White space at both ends is"
            " removed. Unique.",
            "maxLength": 255,
        },
    )
    password = Password("The password.", required=True)


class Credentials(Input):
    """The credentials of an account."""

    read_only = _READ_ONLY
    drops_null = True
    email = EmailAddress(
        required=True,
        metadata={
            "description": "The email address. Case and white space at both ends are ignored.",
            "maxLength": 255,
        },
    )
    password = CurrentPassword("The password.", required=True)
    refresh_token = Text(
        least=1,
        most=255,
        allow_none=True,
        metadata={
            "description": (
                "The last refresh token of this device for the account, also of an ended session."
                " Failed logins from other devices then do not delay this one."
            )
        },
    )
    code = code_field(
        "A code of the authenticator app, or a recovery code. Required if the account has a second"
        " factor.",
        allow_none=True,
    )


class RefreshRequest(Input):
    """A refresh token."""

    refresh_token = Text(
        least=1,
        most=255,
        required=True,
        metadata={"description": "The latest refresh token of the session."},
    )


class PasswordChange(Input):
    """A change of the password."""

    current_password = CurrentPassword("The current password.", required=True)
    new_password = Password("The new password.", required=True)
    revoke_tokens = TrueOrFalse(
        metadata={
            "description": "Whether to revoke all personal access tokens too. `false` by default."
        }
    )


class Reauthentication(Input):
    """The password of the caller."""

    password = CurrentPassword("The current password.", required=True)


class User(Schema):
    """An account."""

    id = Id("The ID of the account.")
    email = fields.String(
        required=True,
        metadata={"format": EMAIL_FORMAT, "description": "The email address, in lower case."},
    )
    email_verified = fields.Boolean(
        required=True,
        metadata={"description": "Whether the owner of the email address has confirmed it."},
    )
    created_at = Timestamp("When the account was created.")


def _quota_field(name: str) -> fields.Nested:
    about = f"The quota of {name.replace('_', ' ')}."
    return fields.Nested(Quota, required=True, metadata={"description": about})


class Quota(Schema):
    """The use of a quota."""

    used = fields.Integer(required=True, metadata={"minimum": 0, "description": "The amount used."})
    limit = fields.Integer(required=True, metadata={"minimum": 1, "description": "The maximum."})


class SecondFactorState(Schema):
    """Whether an account has a second factor."""

    is_enabled = fields.Boolean(
        required=True, metadata={"description": "Whether a login needs a code."}
    )
    recovery_codes_left = fields.Integer(
        required=True,
        metadata={"minimum": 0, "description": "The number of recovery codes that are not used."},
    )


Quotas = Schema.from_dict({q.name: _quota_field(q.name) for q in QUOTAS}, name="Quotas")


def quotas_field() -> fields.Nested:
    """The use of the quotas of a workspace."""
    about = "How much the workspace can store."
    return fields.Nested(Quotas, required=True, metadata={"description": about})


Account = type(
    "Account",
    (output_schema(Profile), User),
    {
        "__doc__": "An account, with its profile, second factor and use of its quotas.",
        "second_factor": fields.Nested(
            SecondFactorState, required=True, metadata={"description": "The second factor."}
        ),
        "quotas": quotas_field(),
    },
)

ProfileChanges = input_schemas(Profile, declared_fields(Account)).changes


class Login(Schema):
    """The tokens of a session."""

    access_token = fields.String(
        required=True,
        metadata={"description": "The JWT to send as `Authorization: Bearer <access_token>`."},
    )
    token_type = fields.String(
        required=True,
        metadata={"const": "bearer", "description": "The authentication scheme."},
    )
    expires_in = fields.Integer(
        required=True,
        metadata={"description": "The lifetime of the access token in seconds."},
    )
    refresh_token = fields.String(
        required=True,
        metadata={"description": "The token for `POST /auth/refresh`. It can be used once."},
    )
    user = fields.Nested(User, required=True, metadata={"description": "The account."})


class Message(Schema):
    """A confirmation."""

    message = fields.String(required=True, metadata={"description": "A message for people."})


class Session(Schema):
    """A session: a login on one device."""

    id = Id("The ID of the session.")
    created_at = Timestamp("When the session was created.")
    last_used_at = Timestamp("When the session was created or last refreshed.")
    expires_at = Timestamp("When the session expires unless it is refreshed.")
    user_agent = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The User-Agent header of the login."},
    )
    address = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The IP address of the login or the last refresh."},
    )
    is_current = fields.Boolean(
        required=True, metadata={"description": "Whether it is the session of this request."}
    )


class SessionPage(PageFields):
    """A page of active sessions."""

    sessions = fields.List(
        fields.Nested(Session),
        required=True,
        metadata={"description": "The sessions of this page."},
    )


class EndedSessions(Schema):
    """The number of ended sessions."""

    ended = fields.Integer(
        required=True, metadata={"minimum": 0, "description": "The number of ended sessions."}
    )
