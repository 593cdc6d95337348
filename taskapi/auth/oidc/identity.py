"""The identity that a provider returns, and why it may return none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from marshmallow import ValidationError

from taskapi.http.fields import EmailAddress

_MAX = 255


class ProviderError(Exception):
    """A provider's response is invalid. The message contains nothing of it."""


class ProviderUnavailableError(ProviderError):
    """A provider does not respond."""


class Identity(NamedTuple):
    """A user of a provider. The email is None unless the provider has verified it."""

    issuer: str
    subject: str
    email: str | None

    @classmethod
    def of(cls, issuer: str, claims: Mapping[str, Any]) -> Identity:
        """The identity in validated claims.

        Raises:
            ProviderError: the subject is invalid.
        """
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX:
            raise ProviderError("an invalid subject")
        if not subject.isascii() or not subject.isprintable():
            raise ProviderError("an invalid subject")
        # Some providers send the boolean as a string.
        is_verified = claims.get("email_verified") in (True, "true")
        return cls(issuer, subject, _email(claims.get("email")) if is_verified else None)


def _email(value: Any) -> str | None:
    """The email address as accounts have it; None if no account can have it."""
    try:
        email: str = EmailAddress().deserialize(value)
    except ValidationError:
        return None
    return email
