"""Shapes of what the calls of accounts and sessions take and answer."""

from __future__ import annotations

from marshmallow import Schema, fields

from taskapi.db.quotas import QUOTAS
from taskapi.http.fields import EmailAddress, Id, Password, Text, Timestamp
from taskapi.http.pagination import PageShape
from taskapi.http.schemas import Input

_READ_ONLY = frozenset({"id", "created_at"})

USER_EXAMPLE = {"id": 1, "email": "ada@example.com", "created_at": "2026-01-05T09:30:00.123456Z"}
ACCOUNT_EXAMPLE = {
    **USER_EXAMPLE,
    "quotas": {
        "tasks": {"used": 42, "limit": 100_000},
        "lists": {"used": 3, "limit": 1_000},
        "labels": {"used": 5, "limit": 1_000},
        "filters": {"used": 2, "limit": 1_000},
        "occurrences": {"used": 17, "limit": 1_000_000},
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
    "last_used_at": "2026-01-06T07:00:12.5Z",
    "expires_at": "2026-02-05T07:00:12.5Z",
    "user_agent": "curl/8.5.0",
    "address": "203.0.113.7",
    "is_current": True,
}


class NewUser(Input):
    """Who registers."""

    read_only = _READ_ONLY
    email = EmailAddress(
        required=True,
        metadata={"description": "Kept and compared in lower case.", "maxLength": 255},
    )
    password = Password(required=True)


class Credentials(Input):
    """Who logs in."""

    read_only = _READ_ONLY
    email = EmailAddress(required=True, metadata={"maxLength": 255})
    password = Password(required=True)


class RefreshRequest(Input):
    """What a new access token is given for."""

    refresh_token = Text(
        least=1,
        most=255,
        required=True,
        metadata={"description": "The last one that was given; each works once."},
    )


class PasswordChange(Input):
    """A new password, and the one before it."""

    current_password = Password(required=True)
    new_password = Password(required=True)


class Reauthentication(Input):
    """The caller's password once more."""

    password = Password(required=True)


class User(Schema):
    """An account."""

    id = Id("The account's id.")
    email = fields.String(required=True, metadata={"format": "email"})
    created_at = Timestamp("When it was registered.")


class Quota(Schema):
    """The use of a quota."""

    used = fields.Integer(required=True, metadata={"minimum": 0, "description": "The amount used."})
    limit = fields.Integer(required=True, metadata={"minimum": 1, "description": "The maximum."})


class Account(User):
    """An account, with the use of its quotas."""

    quotas = fields.Nested(
        Schema.from_dict(
            {quota.name: fields.Nested(Quota, required=True) for quota in QUOTAS}, name="Quotas"
        ),
        required=True,
        metadata={"description": "What the personal workspace may store."},
    )


class Login(Schema):
    """An opened or refreshed session."""

    access_token = fields.String(
        required=True, metadata={"description": "A JWT to send as `Authorization: Bearer ...`."}
    )
    token_type = fields.String(required=True, metadata={"const": "bearer"})
    expires_in = fields.Integer(
        required=True, metadata={"description": "Seconds that the access token is good for."}
    )
    refresh_token = fields.String(
        required=True, metadata={"description": "What `POST /auth/refresh` takes, once."}
    )
    user = fields.Nested(User, required=True)


class Message(Schema):
    """That it was done, for people."""

    message = fields.String(required=True)


class Session(Schema):
    """A login."""

    id = Id("The session's id.")
    created_at = Timestamp("When it was opened.")
    last_used_at = Timestamp("When it was opened or last refreshed.")
    expires_at = Timestamp("When it ends, unless it is refreshed before.")
    user_agent = fields.String(
        required=True, allow_none=True, metadata={"description": "What the client called itself."}
    )
    address = fields.String(
        required=True, allow_none=True, metadata={"description": "Where it was opened from."}
    )
    is_current = fields.Boolean(
        required=True, metadata={"description": "Whether this request is part of it."}
    )


class SessionList(PageShape):
    """A page of live sessions."""

    sessions = fields.List(fields.Nested(Session), required=True)


class Ended(Schema):
    """How many sessions were ended."""

    ended = fields.Integer(required=True, metadata={"minimum": 0})
