"""The client of one OpenID Connect provider. Authlib implements the protocol.

The only module that sends requests to providers. Callers hold no database connection meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import BoundedSemaphore
from time import monotonic
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from cryptography.exceptions import UnsupportedAlgorithm
from gevent import Timeout
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from requests import ConnectionError as RequestsConnectionError
from requests import HTTPError, RequestException
from requests import Timeout as RequestsTimeout

from config_oidc import OidcProvider, is_secure_url
from taskapi.auth.oidc.fetching import json_object, session
from taskapi.auth.oidc.flow import Flow
from taskapi.auth.oidc.identity import Identity, ProviderError, ProviderUnavailableError

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
)
"""Signatures by a private key of the provider. With HMAC, a public key could sign."""

PLACES = 5
"""Sign-ins of one provider that a worker executes at a time; each may wait for a name server."""

PLACE_SECONDS = 2.0
"""How long a sign-in waits for a place."""

TOTAL_SECONDS = 10.0
"""The time limit of all requests for one step of a sign-in."""

PAUSE_SECONDS = 5.0
"""How long a provider that did not respond is not used."""

METADATA_SECONDS = 3_600.0
KEYS_SECONDS = 600.0
"""How long a key that the provider has withdrawn is still accepted."""

_LEEWAY = 60
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_CLAIMS = {name: {"essential": True} for name in ("sub", "exp", "iat", "nonce")}
_INVALID = (
    *(AuthlibBaseError, JoseError, RequestException, UnsupportedAlgorithm),
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError),
)
"""What Authlib and requests raise for invalid responses, malformed ones included."""


class _Cached:
    """A value that is fetched again when it is too old."""

    def __init__(self, fetch: Callable[[], Any], seconds: float) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._value: Any = None
        self._fetched_at = float("-inf")

    def get(self) -> Any:
        if monotonic() - self._fetched_at > self._seconds:
            self.renew()
        return self._value

    def renew(self) -> Any:
        self._value = self._fetch()
        self._fetched_at = monotonic()
        return self._value


class Client:
    """The client of one provider.

    Args:
        provider: the provider.
        redirect_uri: the address of this service to which the provider returns.
    """

    def __init__(self, provider: OidcProvider, redirect_uri: str) -> None:
        self._provider = provider
        self._redirect_uri = redirect_uri
        self._metadata = _Cached(self._fetch_metadata, METADATA_SECONDS)
        self._keys = _Cached(self._fetch_keys, KEYS_SECONDS)
        self._places = BoundedSemaphore(PLACES)
        self._usable_at = 0.0

    def authorization_url(self, flow: Flow) -> str:
        """The address of the provider at which a user signs in.

        Raises:
            ProviderError: the provider's metadata is invalid.
            ProviderUnavailableError: the provider does not respond.
        """
        with self._limits():
            endpoint = self._metadata.get()["authorization_endpoint"]
        url, _ = self._session(code_challenge_method="S256").create_authorization_url(
            endpoint,
            state=flow.state,
            nonce=flow.nonce,
            code_verifier=flow.code_verifier,
        )
        return str(url)

    def identity(self, code: str, issuer: str | None, flow: Flow) -> Identity:
        """The identity that a code of the provider stands for.

        Args:
            issuer: the issuer that the response with the code names, if it does (RFC 9207).

        Raises:
            ProviderError: the code or the response of the provider is invalid.
            ProviderUnavailableError: the provider does not respond.
        """
        with self._limits():
            metadata = self._metadata.get()
            is_named = metadata.get("authorization_response_iss_parameter_supported") is True
            if issuer != self._provider.issuer and (issuer is not None or is_named):
                raise ProviderError("another issuer")
            client = self._session(token_endpoint_auth_method=self._auth_method(metadata))
            token = client.fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                redirect_uri=self._redirect_uri,
                code_verifier=flow.code_verifier,
            )
            claims = self._claims(token, flow.nonce)
            if "email" not in claims and "userinfo_endpoint" in metadata:
                claims |= self._userinfo(client, metadata["userinfo_endpoint"], claims["sub"])
        return Identity.of(self._provider.issuer, claims)

    @contextmanager
    def _limits(self) -> Iterator[None]:
        if monotonic() < self._usable_at:
            raise ProviderUnavailableError("it has just failed")
        if not self._places.acquire(timeout=PLACE_SECONDS):
            raise ProviderUnavailableError("too many sign-ins at a time")
        try:
            with Timeout(TOTAL_SECONDS, RequestsTimeout):
                yield
        except (RequestsConnectionError, RequestsTimeout) as error:
            self._usable_at = monotonic() + PAUSE_SECONDS
            raise ProviderUnavailableError from error
        except HTTPError as error:
            is_down = error.response is not None and error.response.status_code >= 500
            raise (ProviderUnavailableError if is_down else ProviderError) from error
        except _INVALID as error:
            raise ProviderError(type(error).__name__) from error
        finally:
            self._places.release()

    def _session(self, **options: Any) -> Any:
        return session(
            self._provider.client_id,
            client_secret=self._provider.client_secret,
            redirect_uri=self._redirect_uri,
            scope=self._provider.scope,
            **options,
        )

    def _auth_method(self, metadata: Mapping[str, Any]) -> str:
        if not self._provider.client_secret:
            return "none"
        supported = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic, post = "client_secret_basic", "client_secret_post"
        return post if post in supported and basic not in supported else basic

    def _fetch_metadata(self) -> Mapping[str, Any]:
        url = get_well_known_url(self._provider.issuer, external=True)
        found = json_object(self._session().get(url, withhold_token=True))
        if found.get("issuer") != self._provider.issuer:
            raise ProviderError("the metadata of another issuer")
        urls = [found.get(name) for name in _ENDPOINTS]
        if not all(isinstance(one, str) and is_secure_url(one) for one in urls):
            raise ProviderError("metadata without https addresses")
        return found

    def _fetch_keys(self) -> KeySet:
        url = self._metadata.get()["jwks_uri"]
        found = json_object(self._session().get(url, withhold_token=True))
        # A symmetric key in a public document is no secret.
        keys = [key for key in found["keys"] if key["kty"] != "oct" and key.get("use") != "enc"]
        return KeySet.import_key_set({"keys": keys})

    def _claims(self, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The validated claims of the ID token."""
        try:
            decoded = self._decoded(token["id_token"], self._keys.get())
        except (InvalidKeyIdError, BadSignatureError):
            # The provider may have replaced its keys.
            decoded = self._decoded(token["id_token"], self._keys.renew())
        issuer = {"essential": True, "value": self._provider.issuer}
        audience = {"essential": True, "value": self._provider.client_id}
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {**_CLAIMS, "iss": issuer, "aud": audience},
            {
                "nonce": nonce,
                "client_id": self._provider.client_id,
                "access_token": token.get("access_token"),
            },
        )
        claims.validate(leeway=_LEEWAY)
        return dict(claims)

    def _decoded(self, id_token: str, keys: KeySet) -> jwt.Token:
        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        return jwt.decode(id_token, keys, registry=registry)

    def _userinfo(self, client: Any, url: str, subject: str) -> dict[str, Any]:
        if not is_secure_url(url):
            raise ProviderError("metadata without https addresses")
        found = json_object(client.get(url))
        if found.get("sub") != subject:
            raise ProviderError("the user information of another subject")
        return {name: found[name] for name in ("email", "email_verified") if name in found}
