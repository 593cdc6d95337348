"""Use cases of the identities of the caller's account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskapi.auth import attempts
from taskapi.auth import queries as accounts
from taskapi.auth.emails.queries import delete_pending_changes, set_verified
from taskapi.auth.locking import locked_account
from taskapi.auth.notices.jobs import notify_identity_linked, notify_password_changed
from taskapi.auth.oidc import codes
from taskapi.auth.oidc import queries as statements
from taskapi.auth.oidc.identity import Identity
from taskapi.auth.passwords import hash_password
from taskapi.auth.reauthentication import WrongPassword, confirm_password
from taskapi.db import database
from taskapi.db.tenancy import require_access, scope
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import NotFound, Problem, SessionEnded

MAX_IDENTITIES = 20
"""The number of identities of an account."""


class IdentityTaken(Problem):
    """The identity is linked to another account."""

    status = 409
    code = "identity_taken"
    title = "Identity taken"
    detail = "This identity is linked to another account."


class IdentityLimit(Problem):
    """The account has the maximum number of identities."""

    status = 409
    code = "identity_limit"
    title = "Identity limit"
    detail = f"An account has at most {MAX_IDENTITIES} identities."


class AccountEmailNotVerified(Problem):
    """The account has not verified its email, and the identity has another one.

    Verify the email of the account first, or link an identity with the same email.
    """

    status = 409
    code = "account_email_not_verified"
    title = "Email of the account not verified"
    detail = "Verify the email of the account first, or link an identity with the same email."


class LastLoginMethod(Problem):
    """The account has no password and no other identity, so nobody could log in to it.

    Set a password first.
    """

    status = 409
    code = "last_login_method"
    title = "Last login method"
    detail = "Nobody could log in to the account without this identity. Set a password first."


class IdentityNotLinked(Problem):
    """The identity that signed in is not linked to the caller's account."""

    status = 409
    code = "identity_not_linked"
    title = "Identity not linked"
    detail = "The identity that signed in is not linked to this account."


def list_identities(caller: Caller) -> dict[str, Any]:
    """Return the caller's identities, the first linked first, and whether there is a password.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    rows = database.rows(statements.own_identities, **scope(caller))
    if not rows:
        raise SessionEnded
    _, *names = statements.own_identities.columns
    identities = [dict(zip(names, row[1:], strict=True)) for row in rows if row[1] is not None]
    return {"identities": identities, "has_password": rows[0][0]}


def link_identity(
    caller: Caller, code: str, code_verifier: str, password: str, address: str | None
) -> dict[str, Any]:
    """Link the identity that a code stands for to the caller's account, and return it.

    Raises:
        WrongPassword, InvalidCode, AccountEmailNotVerified, IdentityTaken, IdentityLimit: as they
            say.
        SessionEnded, RateLimited, TooBusy: see there.
    """
    hashed_password = confirm_password(caller, password, address)
    identity = codes.redeem(code, code_verifier)
    with locked_account(caller.user_id):
        account = _own_account(caller)
        if account["hashed_password"] != hashed_password:  # it has changed meanwhile
            raise WrongPassword.in_field()
        linked = _link(caller, account, identity)
    log_event("identity_linked", user_id=caller.user_id, issuer=identity.issuer)
    return linked


def _link(caller: Caller, account: Mapping[str, Any], identity: Identity) -> dict[str, Any]:
    has_same_email = identity.email == account["email"]
    # Otherwise the owner of the address, who takes the account back by resetting its password,
    # would share it with whoever registered it.
    if not account["email_verified"] and not has_same_email:
        raise AccountEmailNotVerified
    linked = database.row(statements.link, user_id=caller.user_id, **identity._asdict())
    if linked is None:
        linked = database.row(statements.own_identity, **scope(caller), **_key(identity))
        if linked is None:
            raise IdentityTaken
    elif _count(caller) > MAX_IDENTITIES:
        raise IdentityLimit
    else:
        notify_identity_linked.defer(caller.user_id)
    if has_same_email:
        database.row(set_verified, user_id=caller.user_id)
    return linked


def remove_identity(caller: Caller, identity_id: int) -> None:
    """Remove one of the caller's identities.

    Raises:
        NotFound: it was removed already, or it is another user's.
        LastLoginMethod, SessionEnded: see there.
    """
    with locked_account(caller.user_id):
        account = _own_account(caller)
        if database.row(statements.remove, identity_id=identity_id, **scope(caller)) is None:
            raise NotFound("Identity not found")
        if not account["hashed_password"] and not _count(caller):
            raise LastLoginMethod
    log_event("identity_removed", user_id=caller.user_id)


def set_password(
    caller: Caller, code: str, code_verifier: str, new_password: str, address: str | None
) -> None:
    """Set the caller's password after a sign-in with a linked identity. End the other sessions.

    Raises:
        InvalidCode, IdentityNotLinked, SessionEnded, RateLimited, TooBusy: see there.
    """
    require_access(caller)
    attempts.spend_reauthentication(caller.user_id, address)
    new_hash = hash_password(new_password, attempts.group_of(address, is_known=True))
    identity = codes.redeem(code, code_verifier)
    with locked_account(caller.user_id):
        _own_account(caller)
        if database.row(statements.own_identity, **scope(caller), **_key(identity)) is None:
            raise IdentityNotLinked
        ids = {"user_id": caller.user_id, "session_id": caller.session_id}
        database.row(accounts.set_user_password, user_id=caller.user_id, new_hash=new_hash)
        database.rows(delete_pending_changes, user_id=caller.user_id)
        notify_password_changed.defer(caller.user_id)
        ended = database.rows(accounts.revoke_others, **ids)
    log_event("password_changed", user_id=caller.user_id, ended=len(ended))


def _own_account(caller: Caller) -> dict[str, Any]:
    account = database.row(statements.own_account, **scope(caller))
    if account is None:
        raise SessionEnded
    return account


def _key(identity: Identity) -> dict[str, str]:
    return {"issuer": identity.issuer, "subject": identity.subject}


def _count(caller: Caller) -> int:
    found = database.row(statements.count_identities, user_id=caller.user_id) or {}
    return int(found["count"])
