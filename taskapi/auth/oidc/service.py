"""Use cases of sign-ins: from a front end to a provider and back, and from a code to a session."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from flask import Flask

from config import Settings
from taskapi.auth import attempts
from taskapi.auth import queries as accounts
from taskapi.auth.emails.queries import set_verified
from taskapi.auth.locking import locked_account
from taskapi.auth.notices.jobs import notify_identity_linked
from taskapi.auth.notices.service import report_login
from taskapi.auth.oidc import codes
from taskapi.auth.oidc import flow as flows
from taskapi.auth.oidc import queries as statements
from taskapi.auth.oidc.flow import Flow, cookie_name
from taskapi.auth.oidc.identity import Identity, ProviderError, ProviderUnavailableError
from taskapi.auth.ratelimit import Limit
from taskapi.auth.second_factor.verification import used, verify_login
from taskapi.auth.service import AccountInactive, Device, EmailTaken, Login, open_login
from taskapi.db import database
from taskapi.logs import log_event
from taskapi.problems import Forbidden, InvalidInput, NotFound, Problem
from taskapi.runtime.context import extensions

SIGN_IN_PER_NETWORK = Limit("sign-in-address", 60, "minute")
"""Steps of sign-ins, of which each has three."""

_ATTEMPTS = 3
_NO_PASSWORD = ""

_events = logging.getLogger("taskapi.event")


class SignInExpired(InvalidInput):
    """The browser did not begin this sign-in, or took too long. Begin a new one."""

    code = "sign_in_expired"
    title = "Sign-in expired"
    detail = "This browser did not begin this sign-in, or it took too long. Sign in again."


class ProviderEmailNotVerified(Forbidden):
    """The identity is linked to no account, and its provider has not verified an email address.

    Verify the address at the provider, or log in and link the identity.
    """

    code = "provider_email_not_verified"
    title = "Email not verified by the provider"
    detail = "The provider has not verified an email address for this user."


class AccountNotLinked(Problem):
    """The account with this email has not verified it, so the identity is not linked by itself.

    Log in with the password, and link the identity.
    """

    status = 409
    code = "account_not_linked"
    title = "Account not linked"
    detail = "An account has this email address. Log in with its password and link the identity."


class ReturnAddress(NamedTuple):
    """Where the browser goes next, and the cookie to set or to delete."""

    url: str
    cookie_name: str
    cookie: str | None


class _Registry(NamedTuple):
    """The providers of an application, and what their sign-ins have in common."""

    public_url: str
    redirect_uris: tuple[str, ...]
    providers: list[dict[str, str]]
    clients: dict[str, Any]

    @property
    def is_secure(self) -> bool:
        return self.public_url.startswith("https:")


class _Conflict(Exception):
    """A concurrent request has changed what this one has read."""


def init_app(app: Flask, settings: Settings) -> None:
    """Create a client for each provider. They connect with the first sign-in."""
    public_url = app.config["PUBLIC_URL"]
    clients = {}
    if settings.oidc_providers:
        # Authlib and requests take eight MiB in each worker.
        client = import_module("taskapi.auth.oidc.client").Client
        for one in settings.oidc_providers:
            clients[one.name] = client(one, f"{public_url}/auth/oidc/{one.name}/callback")
    app.extensions["taskapi_oidc"] = _Registry(
        public_url,
        settings.oidc_redirect_uris,
        [{"name": one.name, "issuer": one.issuer} for one in settings.oidc_providers],
        clients,
    )


def cookie_options() -> dict[str, Any]:
    """The attributes of the cookies of sign-ins."""
    registry = _registry()
    return {
        "path": f"{urlsplit(registry.public_url).path}/auth/oidc/",
        "secure": registry.is_secure,
        "httponly": True,
        "samesite": "Lax",
    }


def surplus_cookies(cookies: Mapping[str, str]) -> list[str]:
    """The names of cookies to delete before a new sign-in, since the browser has too many."""
    return flows.surplus_cookies(cookies, is_secure=_registry().is_secure)


def providers() -> list[dict[str, str]]:
    """The providers that users can sign in with."""
    return _registry().providers


def begin(provider: str, query: dict[str, Any], address: str | None) -> ReturnAddress:
    """Begin a sign-in.

    Args:
        query: the front end's validated parameters.

    Returns:
        The address of the provider; that of the front end, with an error, if it does not respond.

    Raises:
        NotFound: there is no such provider.
        InvalidInput: `redirect_uri` is not an address of a front end.
        RateLimited: see there.
    """
    client = _client(provider)
    if query["redirect_uri"] not in _registry().redirect_uris:
        message = "Must be one of the configured addresses of front ends."
        raise InvalidInput.at("redirect_uri", message, "not_a_choice")
    attempts.spend_by_network(SIGN_IN_PER_NETWORK, address)
    flow = Flow.begun(provider, query)
    try:
        url = client.authorization_url(flow)
    except ProviderError as error:
        return _failed(flow, error)
    name = cookie_name(flow.state, is_secure=_registry().is_secure)
    return ReturnAddress(url, name, flow.cookie())


def finish(
    provider: str, query: Mapping[str, str], cookies: Mapping[str, str], address: str | None
) -> ReturnAddress:
    """Finish a sign-in at the provider, and return to the front end with a code or an error.

    Args:
        query: the provider's parameters.

    Raises:
        NotFound: there is no such provider.
        SignInExpired, RateLimited: see there.
    """
    client = _client(provider)
    state = query.get("state", "")
    cookie = cookies.get(cookie_name(state, is_secure=_registry().is_secure), "")
    flow = Flow.of_cookie(provider, state, cookie)
    if flow is None or flow.redirect_uri not in _registry().redirect_uris:
        raise SignInExpired
    attempts.spend_by_network(SIGN_IN_PER_NETWORK, address)
    code = query.get("code")
    if not code:
        was_denied = query.get("error") == "access_denied"
        return _returned(flow, error="access_denied" if was_denied else "sign_in_failed")
    try:
        identity = client.identity(code, query.get("iss"), flow)
    except ProviderError as error:
        return _failed(flow, error)
    return _returned(flow, code=codes.issue(identity, flow.code_challenge))


def sign_in(code: str, code_verifier: str, device: Device, second_factor_code: str = "") -> Login:
    """Create a session for the identity that a code stands for, and an account if it has none.

    Args:
        second_factor_code: of the account's second factor, if it has one. Without it, the code of
            the sign-in stays valid.

    Raises:
        SecondFactorRequired, SecondFactorInvalid: see there.
        InvalidCode, ProviderEmailNotVerified, AccountNotLinked, AccountInactive: see there.
        EmailTaken, RateLimited: see there.
    """
    attempts.spend_by_network(SIGN_IN_PER_NETWORK, device.address)
    identity = codes.find(code, code_verifier)
    for _ in range(_ATTEMPTS):
        factor = _second_factor(identity)
        proof = verify_login(factor, second_factor_code, f"account {factor['id']}")
        user_id = factor["id"]
        with suppress(_Conflict), locked_account(user_id), used(user_id, proof):
            codes.redeem(code, code_verifier)
            event, login = _sign_in(identity, device, user_id, is_proven=proof is not None)
            log_event(event, user_id=login.user["id"], issuer=identity.issuer)
            return login
    raise EmailTaken  # an account can get the address back


def _second_factor(identity: Identity) -> Mapping[str, Any]:
    """The second factor of the account that an identity can open, which is null without one."""
    found = database.row(
        statements.factor_of_identity, issuer=identity.issuer, subject=identity.subject
    )
    if not found and identity.email:
        found = database.row(statements.factor_of_email, email=identity.email)
    return found or {"id": 0, "encrypted_secret": None}


def _sign_in(
    identity: Identity, device: Device, locked_id: int, *, is_proven: bool
) -> tuple[str, Login]:
    found = database.row(
        statements.account_of_identity, issuer=identity.issuer, subject=identity.subject
    )
    if found:
        if found["id"] != locked_id:
            raise _Conflict
        return "logged_in", _opened(found, device, is_proven=is_proven)
    if identity.email is None:
        raise ProviderEmailNotVerified
    created = open_login(
        accounts.register, device, email=identity.email, hashed_password=_NO_PASSWORD
    )
    if created:
        _link(created.user["id"], identity)
        user = database.row(set_verified, user_id=created.user["id"])
        return "registered", created._replace(user=user or created.user)
    account = database.row(statements.account_of_email, email=identity.email)
    if account is None:
        raise _Conflict
    # Whoever registered with an address that is not theirs must not get its owner's identity.
    if not account["email_verified"]:
        raise AccountNotLinked
    _link(account["id"], identity)
    notify_identity_linked.defer(account["id"])
    return "identity_linked", _opened(account, device, is_proven=is_proven)


def _link(user_id: int, identity: Identity) -> None:
    if database.row(statements.link, user_id=user_id, **identity._asdict()) is None:
        raise _Conflict


def _opened(account: Mapping[str, Any], device: Device, *, is_proven: bool) -> Login:
    """A new session of an account that is locked."""
    if not account["is_active"]:
        raise AccountInactive
    login = open_login(
        accounts.open_session,
        device,
        user_id=account["id"],
        hashed_password=account["hashed_password"],
        is_proven=is_proven,
    )
    if login is None:
        raise _Conflict
    report_login(login.refresh_token)
    return login


def _failed(flow: Flow, error: ProviderError) -> ReturnAddress:
    """Return to the front end because the provider failed."""
    cause = type(error.__cause__).__name__ if error.__cause__ else str(error)
    _events.warning("sign_in_failed", extra={"provider": flow.provider, "cause": cause})
    is_down = isinstance(error, ProviderUnavailableError)
    return _returned(flow, error="temporarily_unavailable" if is_down else "sign_in_failed")


def _returned(flow: Flow, **parameters: str) -> ReturnAddress:
    """The front end's address with these parameters and its state."""
    if flow.front_end_state is not None:
        parameters["state"] = flow.front_end_state
    parts = urlsplit(flow.redirect_uri)
    query = "&".join(filter(None, [parts.query, urlencode(parameters)]))
    name = cookie_name(flow.state, is_secure=_registry().is_secure)
    return ReturnAddress(parts._replace(query=query).geturl(), name, None)


def _client(provider: str) -> Any:
    found = _registry().clients.get(provider)
    if found is None:
        raise NotFound("Provider not found")
    return found


def _registry() -> _Registry:
    found: _Registry = extensions()["taskapi_oidc"]
    return found
