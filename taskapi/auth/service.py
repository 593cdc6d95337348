"""Use cases of accounts and sessions. Those of the caller's own account take the caller first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from flask import current_app

from taskapi.auth import attempts, deletion, ratelimit
from taskapi.auth import queries as statements
from taskapi.auth.fairness import Group
from taskapi.auth.passwords import hash_password, verify_password
from taskapi.auth.tokens import RefreshToken, new_family, parse_refresh_token
from taskapi.db import database
from taskapi.db.quotas import QUOTAS, limits
from taskapi.db.statement import Statement
from taskapi.db.tenancy import scope
from taskapi.http.addresses import network
from taskapi.http.idempotency import Owner, owner_by_id
from taskapi.identity import Caller, issue_access_token, signing_keys
from taskapi.logs import log_event
from taskapi.problems import (
    Forbidden,
    InvalidInput,
    Problem,
    RateLimited,
    TokenInvalid,
    Unavailable,
)

User = dict[str, Any]

_DELETION_SECONDS = 2.0
"""For the deletion of an account's rows within its request."""

_events = logging.getLogger("taskapi.event")


class EmailTaken(Problem):
    """Another account has this email."""

    status = 400
    code = "email_taken"
    title = "Email taken"
    detail = "Email already registered"


class InvalidCredentials(Problem):
    """The email or the password is wrong."""

    status = 401
    code = "invalid_credentials"
    title = "Invalid credentials"
    detail = "Invalid email or password"
    headers = {"WWW-Authenticate": "Bearer"}


class AccountInactive(Forbidden):
    """The account is deactivated."""

    code = "account_inactive"
    title = "Account inactive"
    detail = "This account is deactivated."


class WrongPassword(InvalidInput):
    """The current password is wrong."""

    code = "wrong_password"
    title = "Wrong password"
    detail = "The password is wrong."


class Device(NamedTuple):
    """What a session remembers of where it was opened."""

    user_agent: str | None
    address: str | None


class Login(NamedTuple):
    """An opened or refreshed session."""

    user: User
    access_token: str
    refresh_token: str
    expires_in: int


def register(email: str, password: str, device: Device) -> Login:
    """Make an account and open its first session.

    Raises:
        EmailTaken, RateLimited, TooBusy: as they say.
    """
    attempts.spend_by_network(attempts.REGISTER_PER_NETWORK, device.address)
    ratelimit.spend(attempts.REGISTER_PER_ACCOUNT, by=email)
    group = _group(device.address)
    account = database.row(statements.credentials, email=email)
    # A repeated request with an idempotency key proves the password before it gets the response.
    if account and not verify_password(password, account["hashed_password"], group):
        raise EmailTaken
    hashed_password = account["hashed_password"] if account else hash_password(password, group)
    login = _open(statements.register, device, email=email, hashed_password=hashed_password)
    if login is None:
        raise EmailTaken
    log_event("registered", user_id=login.user["id"])
    return login


def login(email: str, password: str, device: Device, refresh_token: str = "") -> Login:
    """Open a session.

    Args:
        refresh_token: of any session of the account, also an ended one: it shows that the account
            knows the device, which has limits and a queue of its own.

    Raises:
        InvalidCredentials: no such account, or another password; it takes the same time.
        AccountInactive, RateLimited, TooBusy: as they say.
    """
    known = _known_device(email, refresh_token)
    spent: list[attempts.Spent] = []
    if known:
        attempts.spend_login_of_device(known.family_hash, device.address)
    else:
        spent = attempts.spend_login(email, device.address)
    account = database.row(statements.credentials, email=email) or {}
    hashed_password = account.get("hashed_password")
    group = _group(device.address, is_known=known is not None)
    if not verify_password(password, hashed_password, group):
        if not known:
            attempts.count_failure(email)
        _events.warning("login_failed", extra={"email": _masked(email)})
        raise InvalidCredentials
    attempts.forget(spent)
    if not account["is_active"]:
        _events.warning("login_refused", extra={"user_id": account["id"], "reason": "inactive"})
        raise AccountInactive
    opened = _open(
        statements.open_session, device, user_id=account["id"], hashed_password=hashed_password
    )
    if opened is None:  # the password was changed, or the account deactivated, at this moment
        raise InvalidCredentials
    log_event("logged_in", user_id=account["id"])
    return opened


def refresh(refresh_token: str, address: str | None) -> Login:
    """Exchange a refresh token for the next one and a new access token.

    Raises:
        TokenInvalid: it is not ours, its session is over, or it was used before: then that session
            ends, for one of those who used it is a thief (RFC 9700 section 4.14.2).
        RateLimited: as it says.
    """
    attempts.spend_by_network(attempts.REFRESH_PER_NETWORK, address)
    token = parse_refresh_token(refresh_token)
    if token is None:
        raise TokenInvalid
    ratelimit.spend(attempts.REFRESH_PER_SESSION, by=token.family_hash.hex())
    successor = token.successor(signing_keys()[0])
    user = database.row(
        statements.rotate,
        refresh_hash=token.secret_hash,
        next_hash=successor.secret_hash,
        lifetime=current_app.config["SESSION_EXPIRES"],
        **_named(token),
    )
    if user is None:
        user, successor = _refreshed_before(token)
    return _login(user, successor)


def owner_of_refresh(body: Mapping[str, Any]) -> Owner | None:
    """The owner of an idempotency key that is sent with a refresh token.

    None unless the token is the current one of a live session, or the one before: only these can
    have been refreshed with a stored response, and others must not learn of any.
    """
    token = parse_refresh_token(body["refresh_token"])
    found = token and database.row(statements.live_session, **_named(token))
    if not token or not found:
        return None
    proven = [token, *map(token.successor, signing_keys())]
    is_proven = found["refresh_hash"] in [one.secret_hash for one in proven]
    return owner_by_id(token.caller.user_id) if is_proven else None


def logout(caller: Caller) -> None:
    """End the caller's session; that it had ended before is fine."""
    ended = database.row(statements.revoke, user_id=caller.user_id, session_id=caller.session_id)
    if ended:
        log_event("logged_out", **_ids(caller))


def get_me(caller: Caller) -> User:
    """The caller's account, with the use of its quotas.

    Raises:
        TokenInvalid: the caller's session is over.
    """
    user = _live(database.row(statements.own_user, **scope(caller)))
    quotas = {
        quota.name: {"used": user.pop(quota.total), "limit": limits()[f"quota_{quota.total}"]}
        for quota in QUOTAS
    }
    return {**user, "quotas": quotas}


def change_password(
    caller: Caller, current_password: str, new_password: str, address: str | None
) -> None:
    """Set another password and end the caller's other sessions.

    Raises:
        WrongPassword: the current one is another.
        TokenInvalid, RateLimited, TooBusy: as they say.
    """
    _spend_reauthentication(caller, address)
    group = _group(address, is_known=True)
    hashed_password = _reauthenticate(caller, current_password, group, "/current_password")
    new_hash = hash_password(new_password, group)
    with database.transaction():
        changed = database.row(
            statements.set_own_password,
            hashed_password=hashed_password,
            new_hash=new_hash,
            **scope(caller),
        )
        ended = database.rows(statements.revoke_others, **_ids(caller)) if changed else []
    if not changed:
        _refuse_changed_password(caller, "/current_password")
    log_event("password_changed", user_id=caller.user_id, ended=len(ended))


def delete_account(caller: Caller, password: str, address: str | None) -> None:
    """Delete the caller's account: its sessions end and its email is free at once.

    Its rows are deleted too, as far as that takes a moment; the others by `flask purge`.

    Raises:
        WrongPassword, TokenInvalid, RateLimited, TooBusy: as they say.
    """
    _spend_reauthentication(caller, address)
    group = _group(address, is_known=True)
    hashed_password = _reauthenticate(caller, password, group, "/password")
    parameters = {"hashed_password": hashed_password, **scope(caller)}
    if not deletion.close(statements.close_own_account, **parameters):
        _refuse_changed_password(caller, "/password")
    log_event("account_deleted", user_id=caller.user_id)
    # The account is gone for its user; whatever is left is deleted by `flask purge`.
    with suppress(Unavailable, RateLimited):
        deletion.delete_rows(caller.user_id, _DELETION_SECONDS)


def _known_device(email: str, refresh_token: str) -> RefreshToken | None:
    """The refresh token of a session that the account has or had; None if it is no such token."""
    token = parse_refresh_token(refresh_token)
    if token and database.row(statements.known_device, email=email, **_named(token)):
        return token
    return None


def _group(address: str | None, *, is_known: bool = False) -> Group:
    return Group(network(address, attempts.PARTY), is_known)


def _open(statement: Statement, device: Device, **parameters: Any) -> Login | None:
    family, secret = new_family()
    token = RefreshToken(Caller.of(0, 0), family, secret)
    opened = database.row(
        statement,
        family_hash=token.family_hash,
        refresh_hash=token.secret_hash,
        lifetime=current_app.config["SESSION_EXPIRES"],
        **device._asdict(),
        **parameters,
    )
    if opened is None:
        return None
    caller = Caller.of(opened["id"], opened.pop("session_id"))
    return _login(opened, token._replace(caller=caller))


def _login(user: User, token: RefreshToken) -> Login:
    expires_in = current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    return Login(user, issue_access_token(token.caller), str(token), expires_in)


def _named(token: RefreshToken) -> dict[str, Any]:
    return {**_ids(token.caller), "family_hash": token.family_hash}


def _refreshed_before(token: RefreshToken) -> tuple[User, RefreshToken]:
    """The same successor once more for a token that was rotated a moment ago; else an end to it."""
    found = database.row(statements.live_session, **_named(token))
    if found is None:
        raise TokenInvalid
    for successor in map(token.successor, signing_keys()):
        is_successor = found["refresh_hash"] == successor.secret_hash
        if found["is_recent"] and is_successor:
            return {name: found[name] for name in ("id", "email", "created_at")}, successor
    database.run_afterwards(statements.revoke, **_ids(token.caller))
    _events.warning("refresh_token_reused", extra=_ids(token.caller))
    raise TokenInvalid


def _spend_reauthentication(caller: Caller, address: str | None) -> None:
    attempts.spend_by_network(attempts.REAUTHENTICATE_PER_NETWORK, address)
    ratelimit.spend(attempts.REAUTHENTICATE_PER_ACCOUNT, by=caller.user_id)


def _reauthenticate(caller: Caller, password: str, group: Group, pointer: str) -> str:
    """Check the caller's password once more and give its hash."""
    hashed_password = _live(database.row(statements.own_password, **scope(caller)))[
        "hashed_password"
    ]
    if not verify_password(password, hashed_password, group):
        _events.warning("reauthentication_failed", extra={"user_id": caller.user_id})
        raise WrongPassword.at(pointer, "Is not the account's password.", "wrong_password")
    return str(hashed_password)


def _refuse_changed_password(caller: Caller, pointer: str) -> NoReturn:
    """Say why nothing was done: since the check the session ended, or the password changed."""
    get_me(caller)
    raise WrongPassword.at(pointer, "Is not the account's password.", "wrong_password")


def _ids(caller: Caller) -> dict[str, int]:
    return {"user_id": caller.user_id, "session_id": caller.session_id}


def _live(found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None:
        raise TokenInvalid
    return found


def _masked(email: str) -> str:
    """Enough of an address to help its owner, not enough to be one."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}***@{domain}"
