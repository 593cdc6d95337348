"""Use cases of verified emails, changes of the email, and password resets."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from taskapi.auth import attempts, ratelimit
from taskapi.auth.emails import queries as statements
from taskapi.auth.emails import tokens
from taskapi.auth.emails.jobs import (
    send_email_change,
    send_email_changed,
    send_email_restored,
    send_password_reset,
    send_verification,
)
from taskapi.auth.emails.models import CHANGE, RESET, UNDO, VERIFY
from taskapi.auth.locking import locked_account
from taskapi.auth.notices.jobs import notify_password_changed
from taskapi.auth.passwords import hash_password
from taskapi.auth.profile.service import get_me
from taskapi.auth.reauthentication import WrongPassword, confirm_password
from taskapi.auth.service import EmailTaken, User
from taskapi.db import database
from taskapi.db.constraints import ValueTaken
from taskapi.db.statement import Statement
from taskapi.db.tenancy import scope
from taskapi.http.verification import is_verified
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import InvalidInput, Problem, Unavailable


class LinkInvalid(Problem):
    """The token is not valid: it was used before, it has expired, or the account has changed.

    Request a new one.
    """

    status = 400
    code = "link_invalid"
    title = "Link invalid"
    detail = "The link is invalid, has expired, or was used before. Request a new one."


class _Proof(NamedTuple):
    """A token that was found, by columns."""

    user_id: int
    purpose: str
    email: str
    change_id: int
    """0 unless it is for a change."""


def resend_verification(caller: Caller, address: str | None) -> None:
    """Send the link that verifies the caller's email again, unless it is verified.

    Raises:
        SessionEnded: the caller's session has ended.
        RateLimited: see there.
    """
    attempts.spend_by_network(attempts.TOKEN_PER_NETWORK, address)
    ratelimit.spend(attempts.VERIFICATION_PER_ACCOUNT, by=caller.user_id)
    if not is_verified(caller):
        send_verification.defer(user_id=caller.user_id)


def verify_email(token: str, address: str | None) -> User:
    """Verify the email of an account, or confirm its new one, and return the account.

    Raises:
        LinkInvalid: the token is invalid.
        EmailTaken: another account got the new address meanwhile.
        RateLimited: see there.
    """
    proof = _find(token, address, VERIFY, CHANGE)
    try:
        with database.transaction():
            account = _use(token, proof)
            if proof.purpose == CHANGE:
                user = _confirm_change(proof, account)
            elif account["email"] == proof.email:
                user = _set_verified(proof.user_id)
            else:
                raise LinkInvalid
    except ValueTaken:
        raise EmailTaken from None
    is_change = proof.purpose == CHANGE
    log_event("email_changed" if is_change else "email_verified", user_id=proof.user_id)
    return user


def request_change(caller: Caller, new_email: str, password: str, address: str | None) -> None:
    """Send a link to a new address, which becomes the caller's email when it is confirmed.

    Whether another account has the address is reported to the address only.

    Raises:
        WrongPassword, SessionEnded, RateLimited, TooBusy: see there.
        InvalidInput: it is the caller's email already.
    """
    hashed_password = confirm_password(caller, password, address)
    ratelimit.spend(attempts.CHANGE_EMAIL_PER_ACCOUNT, by=caller.user_id)
    with locked_account(caller.user_id):
        database.rows(statements.delete_pending_changes, user_id=caller.user_id)
        change = database.row(
            statements.request_change,
            email=new_email,
            hashed_password=hashed_password,
            lifetime=tokens.CHANGE_SECONDS,
            **scope(caller),
        )
        if change is None:
            _raise_for_no_change(caller, new_email)
        send_email_change.defer(change_id=change["id"])
    log_event("email_change_requested", user_id=caller.user_id)


def undo_change(token: str, address: str | None) -> None:
    """Restore the email that an account had before a change.

    Somebody else may know the password, so all access to the account ends. A link that sets a new
    password is sent to the restored address.

    Raises:
        LinkInvalid: the token is invalid.
        EmailTaken: another account has the address.
        RateLimited: see there.
    """
    proof = _find(token, address, UNDO)
    try:
        with database.transaction():
            _use(token, proof)
            database.rows(statements.restore_email, user_id=proof.user_id, email=proof.email)
            parameters = {"user_id": proof.user_id, "change_id": proof.change_id}
            database.rows(statements.delete_changes_since, **parameters)
            _end_access(proof.user_id, statements.OTHER_ACCESS_BEFORE_UNDO)
            send_email_restored.defer(user_id=proof.user_id)
    except ValueTaken:
        raise EmailTaken from None
    log_event("email_change_undone", user_id=proof.user_id)


def forgot_password(email: str, address: str | None) -> None:
    """Send a link that resets the password, if there is an active account with this email.

    The work is the same without one: a job is deferred that then sends nothing.

    Raises:
        RateLimited: see there.
    """
    attempts.spend_forgotten(email, address)
    with database.transaction():
        found = database.row(statements.active_account, email=email)
        send_password_reset.defer(user_id=found["id"] if found else 0)
    log_event("password_reset_requested")


def reset_password(token: str, new_password: str, address: str | None) -> None:
    """Set a new password, and end all sessions of the account.

    If its email was not verified before, somebody else may have registered the account, so all
    other access to it ends too, and its second factor is removed.

    Raises:
        LinkInvalid: the token is invalid.
        RateLimited, TooBusy: see there.
    """
    proof = _find(token, address, RESET)
    new_hash = hash_password(new_password, attempts.group_of(address, is_known=True))
    with database.transaction():
        account = _use(token, proof)
        if account["email"] != proof.email:
            raise LinkInvalid
        database.rows(statements.reset_password, user_id=proof.user_id, new_hash=new_hash)
        database.rows(statements.delete_pending_changes, user_id=proof.user_id)
        others = () if account["email_verified"] else statements.OTHER_ACCESS
        _end_access(proof.user_id, others)
        notify_password_changed.defer(proof.user_id)
    with suppress(Unavailable):  # the password is set, whether or not the limits are reset
        attempts.forget_logins(proof.email, address)
    log_event("password_reset", user_id=proof.user_id)


def _find(token: str, address: str | None, *purposes: str) -> _Proof:
    """Return what a token is for, if it is for one of these purposes."""
    attempts.spend_by_network(attempts.TOKEN_PER_NETWORK, address)
    found = database.row(statements.find_token, token_hash=tokens.hash_of(token))
    if found is None or found["purpose"] not in purposes:
        raise LinkInvalid
    return _Proof(**found)


def _use(token: str, proof: _Proof) -> dict[str, Any]:
    """Lock the account of a token, delete the token, and return the account.

    The account is locked first, as by its deletion, which also deletes its tokens.
    """
    account = database.row(statements.lock_account, user_id=proof.user_id)
    taken = account and database.row(statements.take_token, token_hash=tokens.hash_of(token))
    if not account or not taken:
        raise LinkInvalid
    return account


def _set_verified(user_id: int) -> User:
    user = database.row(statements.set_verified, user_id=user_id)
    assert user  # it is locked
    return user


def _confirm_change(proof: _Proof, account: dict[str, Any]) -> User:
    """Set the new email of a locked account, and reserve its old one while it can be restored."""
    user = database.row(statements.set_email, user_id=proof.user_id, email=proof.email)
    if user is None:
        raise EmailTaken
    change = {"user_id": proof.user_id, "change_id": proof.change_id}
    is_return = bool(database.rows(statements.delete_changes_from, email=proof.email, **change))
    # A return undoes earlier changes itself. An address that was not verified may be a stranger's.
    lifetime = tokens.UNDO_SECONDS if account["email_verified"] and not is_return else 0
    database.rows(statements.confirm_change, lifetime=lifetime, **change)
    database.rows(statements.delete_pending_changes, user_id=proof.user_id)
    database.rows(statements.void_tokens, user_id=proof.user_id)
    send_email_changed.defer(change_id=proof.change_id)
    return user


def _end_access(user_id: int, others: tuple[Statement, ...]) -> None:
    """End the logins to a locked account, and void its tokens.

    Args:
        others: statements that end other access, which the owner of its email may not have granted.
    """
    database.rows(statements.end_logins, user_id=user_id)
    database.rows(statements.void_tokens, user_id=user_id)
    for statement in others:
        database.rows(statement, user_id=user_id)


def _raise_for_no_change(caller: Caller, new_email: str) -> NoReturn:
    """Raise the reason why no change was stored."""
    if get_me(caller)["email"] == new_email:
        raise InvalidInput.at("/new_email", "Is the account's email already.", "same_email")
    raise WrongPassword.in_field()
