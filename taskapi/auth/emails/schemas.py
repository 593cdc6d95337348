"""The schemas of verified emails, changes of the email, and password resets."""

from __future__ import annotations

from taskapi.http.fields import CurrentPassword, EmailAddress, Password, Text
from taskapi.http.schemas import Input

PROOF_EXAMPLE = {"token": "te_6Hy0wZ4n8mW1rF2cVtQ5sKjPdXbLgUeA9oIaTyR3vNc"}


def _token() -> Text:
    return Text(
        least=1,
        most=255,
        required=True,
        metadata={"description": "The token of the link. It can be used once."},
    )


class EmailProof(Input):
    """A token from a mail."""

    token = _token()


class EmailChange(Input):
    """A change of the email."""

    new_email = EmailAddress(
        required=True,
        metadata={
            "description": "The new email address. It is stored in lower case. White space at both"
            " ends is removed.",
            "maxLength": 255,
        },
    )
    password = CurrentPassword("The current password.", required=True)


class ForgottenPassword(Input):
    """The email of an account whose password is forgotten."""

    email = EmailAddress(
        required=True,
        metadata={
            "description": "The email address. Case and white space at both ends are ignored.",
            "maxLength": 255,
        },
    )


class PasswordReset(Input):
    """A new password, with a token from a mail."""

    token = _token()
    new_password = Password("The new password.", required=True)
