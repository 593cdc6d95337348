"""The schemas of sign-ins and identities."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from taskapi.http.fields import Choice, CurrentPassword, Id, Message, Password, Text, Timestamp
from taskapi.http.schemas import Input

_ISSUER = "https://id.example.com"
VERIFIER_EXAMPLE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CODE_EXAMPLE = {
    "code": "SplxlOBeZQQYbYS6WxSbIA5hGnYJ2kqVzNwm3ZJ8xUo",
    "code_verifier": VERIFIER_EXAMPLE,
}
PROVIDERS_EXAMPLE = {"providers": [{"name": "example", "issuer": _ISSUER}]}
IDENTITY_EXAMPLE = {
    "id": 4,
    "issuer": _ISSUER,
    "subject": "248289761001",
    "email": "ada@example.com",
    "created_at": "2026-01-05T09:30:00.123456Z",
}

_CHALLENGE = "^[A-Za-z0-9_-]{43}$"


class SignInQuery(Input):
    """The parameters of a sign-in, as in RFC 6749 and RFC 7636."""

    redirect_uri = Text(
        least=1,
        most=500,
        required=True,
        metadata={
            "description": "The address of the front end to return to, exactly as the service's"
            " operator has configured it."
        },
    )
    code_challenge = fields.String(
        required=True,
        validate=validate.Regexp(
            # In Python, $ also matches before a line break at the end.
            _CHALLENGE.replace("$", r"\Z"),
            error=Message("Must be a SHA-256 hash in base64url.", "invalid"),
        ),
        metadata={
            "pattern": _CHALLENGE,
            "description": "The SHA-256 hash of a new random `code_verifier`, in base64url.",
        },
        error_messages={"required": Message("Required.", "required")},
    )
    code_challenge_method = Choice(
        "S256", required=True, metadata={"description": "The hash function of the challenge."}
    )
    state = Text(
        most=500,
        metadata={"description": "A text that is returned to the front end unchanged."},
    )


class CodeExchange(Input):
    """The code of a sign-in."""

    code = Text(
        least=1,
        most=255,
        required=True,
        metadata={"description": "The `code` in the address that the sign-in returned to."},
    )
    code_verifier = Text(
        least=43,
        most=128,
        required=True,
        metadata={"description": "The text that `code_challenge` is the hash of."},
    )


class SignIn(CodeExchange):
    """The code of a sign-in, to log in with."""

    drops_null = True
    second_factor_code = Text(
        most=255,
        allow_none=True,
        metadata={
            "description": "A code of the authenticator app or a recovery code, if the account has"
            " a second factor."
        },
    )


class NewIdentity(CodeExchange):
    """An identity to link, by the code of its sign-in."""

    read_only = frozenset({"id", "issuer", "subject", "email", "created_at"})
    password = CurrentPassword("The password of the account.", required=True)


class NewPassword(CodeExchange):
    """A new password, confirmed by the code of a sign-in."""

    new_password = Password("The new password.", required=True)


class Provider(Schema):
    """An OpenID Connect provider."""

    name = fields.String(
        required=True, metadata={"description": "The name of the provider in URLs."}
    )
    issuer = fields.String(
        required=True, metadata={"description": "The URL that identifies the provider."}
    )


class Providers(Schema):
    """The providers that users can sign in with."""

    providers = fields.List(
        fields.Nested(Provider), required=True, metadata={"description": "The providers."}
    )


class Identity(Schema):
    """A user of a provider, who can log in to the account."""

    id = Id("The ID of the identity.")
    issuer = fields.String(
        required=True, metadata={"description": "The URL that identifies the provider."}
    )
    subject = fields.String(
        required=True, metadata={"description": "The ID of the user at the provider."}
    )
    email = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The email address that the provider had verified when the identity was"
            " linked."
        },
    )
    created_at = Timestamp("When the identity was linked.")


class Identities(Schema):
    """The identities of an account."""

    identities = fields.List(
        fields.Nested(Identity),
        required=True,
        metadata={"description": "The identities, the first linked first."},
    )
    has_password = fields.Boolean(
        required=True, metadata={"description": "Whether the account has a password."}
    )
