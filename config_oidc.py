"""The values of the settings for sign-in with OpenID Connect. `config` reads them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MAX_ISSUER = 255
"""The maximum length of an issuer, in characters."""


@dataclass(frozen=True)
class OidcProvider:
    """An OpenID Connect provider, and the client that is registered there for this service."""

    name: str
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scope: str = "openid email"


def oidc_providers(text: str) -> tuple[OidcProvider, ...]:
    """The providers in the JSON of the setting.

    Raises:
        ValueError: they are invalid. The message says how, without the value.
    """
    try:
        providers = tuple(OidcProvider(**one) for one in json.loads(text))
    except (ValueError, TypeError):
        # The cause contains the secrets.
        raise ValueError(
            'must be a JSON array of objects like {"name": "example", "issuer":'
            ' "https://id.example.com", "client_id": "...", "client_secret": "..."}'
        ) from None
    for one in providers:
        texts = [one.name, one.issuer, one.client_id, one.client_secret or "", one.scope]
        if not all(isinstance(value, str) for value in texts) or not one.client_id:
            raise ValueError("must have strings as values, and a client_id in each provider")
        if not re.fullmatch("[a-z0-9-]{1,32}", one.name):
            raise ValueError("must have names of lower-case letters, digits and hyphens")
        is_too_long = len(one.issuer) > MAX_ISSUER
        if is_too_long or not is_secure_url(one.issuer) or set("?#") & set(one.issuer):
            raise ValueError("must have issuers like https://id.example.com, without ? and #")
        if "openid" not in one.scope.split():
            raise ValueError("must have openid in each scope")
    distinct = {one.name for one in providers} | {one.issuer for one in providers}
    if len(distinct) < 2 * len(providers):
        raise ValueError("must have a name and an issuer of its own for each provider")
    return providers


def is_secure_url(url: str) -> bool:
    """Whether a URL is https, or http on this machine."""
    parts = urlsplit(url)
    is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_local)
    )


def redirect_uris(uris: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses of front ends, validated.

    Raises:
        ValueError: one is invalid.
    """
    for uri in uris:
        parts = urlsplit(uri)
        # An app's own scheme is a reversed domain (RFC 8252 section 7.1).
        is_of_app = "." in parts.scheme and bool(parts.path)
        if not (is_secure_url(uri) or is_of_app) or set("#*\\ ") & set(uri):
            raise ValueError(
                "must list addresses such as https://app.example.com/signed-in or"
                " com.example.app:/signed-in, separated by commas (no # and no *)"
            )
    return uris
