"""Use cases of accounts: registration, login, refresh and logout."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import current_app

from taskapi.auth import attempts, ratelimit
from taskapi.auth import queries as statements
from taskapi.auth.emails.jobs import send_verification
from taskapi.auth.locking import locked_account
from taskapi.auth.notices.service import report_login
from taskapi.auth.passwords import hash_password, verify_password
from taskapi.auth.refresh_queries import (
    REFRESH_GRACE_TOKENS,
    any_session,
    known_device,
    live_session,
    rotate,
)
from taskapi.auth.second_factor.verification import used, verify_login
from taskapi.auth.tokens import RefreshToken, new_family, parse_refresh_token
from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.http.idempotency import Owner, owner_by_id
from taskapi.identity import Caller, issue_access_token, signing_keys
from taskapi.logs import log_event
from taskapi.problems import (
    Forbidden,
    Problem,
    SessionEnded,
    TokenInvalid,
    Unauthenticated,
)

User = dict[str, Any]

_events = logging.getLogger("taskapi.event")


class EmailTaken(Problem):
    """Another account has this email."""

    status = 400
    code = "email_taken"
    title = "Email taken"
    detail = "Email already registered"


class InvalidCredentials(Problem):
    """The email or the password is wrong. The error does not reveal which."""

    status = 401
    code = "invalid_credentials"
    title = "Invalid credentials"
    detail = "Invalid email or password"
    headers = Unauthenticated.headers


class AccountInactive(Forbidden):
    """The password is right, but the account is deactivated."""

    code = "account_inactive"
    title = "Account inactive"
    detail = "This account is deactivated."


class Device(NamedTuple):
    """The client that created a session."""

    user_agent: str | None
    address: str | None


class Login(NamedTuple):
    """A new or refreshed session, with its tokens."""

    user: User
    access_token: str
    refresh_token: str
    expires_in: int


def register(email: str, password: str, device: Device) -> Login:
    """Create an account and its first session.

    Raises:
        EmailTaken, RateLimited, TooBusy: see there.
    """
    attempts.spend_by_network(attempts.REGISTER_PER_NETWORK, device.address)
    ratelimit.spend(attempts.REGISTER_PER_ACCOUNT, by=email)
    group = attempts.group_of(device.address)
    account = database.row(statements.credentials, email=email)
    # Verified before the idempotency key is looked up: a stored response contains tokens.
    if account and not verify_password(password, account["hashed_password"], group):
        raise EmailTaken
    hashed_password = account["hashed_password"] if account else hash_password(password, group)
    with database.transaction():
        login = open_login(
            statements.register, device, email=email, hashed_password=hashed_password
        )
        if login is None:
            raise EmailTaken
        send_verification.defer(user_id=login.user["id"])
    log_event("registered", user_id=login.user["id"])
    return login


def login(
    email: str, password: str, device: Device, refresh_token: str = "", code: str = ""
) -> Login:
    """Create a session.

    Args:
        code: of the account's second factor, if it has one.
        refresh_token: of any session of the account, even if the session has ended. It proves that
            the account knows the device, which has its own limits and its own queue.

    Raises:
        InvalidCredentials: there is no such account, or the password is wrong. Both take the same
            time.
        SecondFactorRequired, SecondFactorInvalid: the password is right, but the code is missing,
            wrong or used.
        AccountInactive, RateLimited, TooBusy: see there.
    """
    known = _known_device(email, refresh_token)
    spent: list[attempts.Spent] = []
    if known:
        attempts.spend_login_of_device(known.family_hash, device.address)
    else:
        spent = attempts.spend_login(email, device.address)
    account = database.row(statements.credentials, email=email) or {}
    hashed_password = account.get("hashed_password")
    group = attempts.group_of(device.address, is_known=known is not None)
    if not verify_password(password, hashed_password, group):
        if not known:
            attempts.count_failure(email)
        _events.warning("login_failed", extra={"email": _masked(email)})
        raise InvalidCredentials
    attempts.forget(spent)
    if not account["is_active"]:
        _events.warning("login_refused", extra={"user_id": account["id"], "reason": "inactive"})
        raise AccountInactive
    by = f"device {known.family_hash.hex()}" if known else f"account {account['id']}"
    proof = verify_login(account, code, by)
    with locked_account(account["id"]), used(account["id"], proof):
        opened = open_login(
            statements.open_session,
            device,
            user_id=account["id"],
            hashed_password=hashed_password,
            is_proven=proof is not None,
        )
        if opened is None:  # the account has changed since its password was verified
            raise InvalidCredentials
        if not known:
            report_login(opened.refresh_token)
    log_event("logged_in", user_id=account["id"])
    return opened


def refresh(refresh_token: str, address: str | None) -> Login:
    """Exchange a refresh token for the next one and a new access token.

    Raises:
        TokenInvalid: it is not a refresh token of a session.
        SessionEnded: its session has ended, or it was used before. In the latter case its session
            ends now, because the token may have been stolen (RFC 9700 section 4.14.2).
        RateLimited: see there.
    """
    attempts.spend_by_network(attempts.REFRESH_PER_NETWORK, address)
    token = parse_refresh_token(refresh_token)
    if token is None:
        raise TokenInvalid
    ratelimit.spend(attempts.REFRESH_PER_SESSION, by=token.family_hash.hex())
    successor = token.successor(signing_keys()[0])
    user = database.row(
        rotate,
        refresh_hash=token.secret_hash,
        next_hash=successor.secret_hash,
        lifetime=current_app.config["SESSION_EXPIRES"],
        **_session_parameters(token),
    )
    if user is None:
        user, successor = _repeated_refresh(token)
    return _login(user, successor)


def owner_of_refresh(body: Mapping[str, Any]) -> Owner | None:
    """The owner of an idempotency key that is sent with a refresh token.

    None unless the token is the current one of a live session, or the one before. Only these can
    have a stored response; for others, the key must not be looked up.
    """
    token = parse_refresh_token(body["refresh_token"])
    found = token and database.row(live_session, **_session_parameters(token))
    if not token or not found:
        return None
    proven = [token, *map(token.successor, signing_keys())]
    is_proven = found["refresh_hash"] in [one.secret_hash for one in proven]
    return owner_by_id(token.caller.user_id) if is_proven else None


def logout(caller: Caller) -> None:
    """End the caller's session. It may have ended before."""
    ended = database.row(statements.revoke, user_id=caller.user_id, session_id=caller.session_id)
    if ended:
        log_event("logged_out", **_ids(caller))


def _known_device(email: str, refresh_token: str) -> RefreshToken | None:
    """The parsed token, if it belongs to a session of the account; otherwise None."""
    token = parse_refresh_token(refresh_token)
    if token and database.row(known_device, email=email, **_session_parameters(token)):
        return token
    return None


def open_login(statement: Statement, device: Device, **parameters: Any) -> Login | None:
    """Execute a statement that creates a session, and return its tokens; None without a row."""
    family, secret = new_family()
    token = RefreshToken(Caller.of(0, 0), family, secret)
    opened = database.row(
        statement,
        family_hash=token.family_hash,
        refresh_hash=token.secret_hash,
        lifetime=current_app.config["SESSION_EXPIRES"],
        quota_sessions=current_app.config["QUOTA_SESSIONS"],
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


def _session_parameters(token: RefreshToken) -> dict[str, Any]:
    return {**_ids(token.caller), "family_hash": token.family_hash}


def _repeated_refresh(token: RefreshToken) -> tuple[User, RefreshToken]:
    """Return the current token of a session if this one was used a moment ago.

    Otherwise end the session.
    """
    found = database.row(live_session, **_session_parameters(token))
    if found is None:
        is_ended = database.row(any_session, **_session_parameters(token))
        raise SessionEnded if is_ended else TokenInvalid
    generation = [token]
    # The token was used at the time at which its successor was issued, and so on.
    for used_at in found["uses"][:REFRESH_GRACE_TOKENS]:
        generation = [one.successor(key) for one in generation for key in signing_keys()]
        current = [one for one in generation if one.secret_hash == found["refresh_hash"]]
        if current and used_at > found["grace_start"]:
            names = [column.name for column in statements.ACCOUNT_COLUMNS]
            return {name: found[name] for name in names}, current[0]
    database.run_afterwards(statements.revoke, **_ids(token.caller))
    _events.warning("refresh_token_reused", extra=_ids(token.caller))
    raise SessionEnded


def _ids(caller: Caller) -> dict[str, int]:
    return {"user_id": caller.user_id, "session_id": caller.session_id}


def _masked(email: str) -> str:
    """Mask an email address: its owner recognizes it, nobody else learns it."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}***@{domain}"
