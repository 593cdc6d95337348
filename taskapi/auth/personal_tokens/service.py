"""Use cases of the caller's personal access tokens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from flask import current_app

from taskapi.auth import attempts, ratelimit
from taskapi.auth.live_pages import read_live_page
from taskapi.auth.locking import locked_account
from taskapi.auth.notices.jobs import notify_token_created
from taskapi.auth.personal_tokens import queries as statements
from taskapi.auth.profile.service import get_me
from taskapi.db import database
from taskapi.db.quotas import QuotaExceeded
from taskapi.db.rows import row_class
from taskapi.db.tenancy import require_access, scope
from taskapi.http.personal_tokens import PersonalToken, new_secret
from taskapi.identity import Caller
from taskapi.logs import log_event
from taskapi.problems import InvalidInput, NotFound

_TokenRow = row_class("Token", (column.name for column in statements.COLUMNS))


class TokenList(NamedTuple):
    """A page of valid tokens."""

    tokens: list[dict[str, Any]]
    total: int
    next_cursor: str | None


def create_token(
    caller: Caller,
    name: str,
    scopes: list[str],
    expires_at: datetime | None = None,
    workspace_ids: list[int] | None = None,
) -> dict[str, Any]:
    """Create a token. Only the result contains the token itself.

    Args:
        workspace_ids: the workspaces that it is for; None for all.

    Raises:
        InvalidInput: it would have expired already, or the caller is no member of a workspace.
        QuotaExceeded, RateLimited: see there.
        SessionEnded: the caller's session has ended.
    """
    if expires_at and expires_at <= datetime.now(UTC):
        raise InvalidInput.at("/expires_at", "Must be in the future.", "out_of_range")
    ratelimit.spend(attempts.CREATE_TOKEN_PER_ACCOUNT, by=caller.user_id)
    if workspace_ids is not None:
        _require_memberships(caller, workspace_ids)
    token = PersonalToken(caller.user_id, 0, new_secret())
    values = {
        "name": name,
        "scopes": scopes,
        "expires_at": expires_at,
        "workspace_ids": workspace_ids,
    }
    quota = current_app.config["QUOTA_TOKENS"]
    with locked_account(caller.user_id):
        created = database.row(
            statements.create_token,
            token_hash=token.secret_hash,
            quota=quota,
            **values,
            **scope(caller),
        )
        if created:
            notify_token_created.defer(caller.user_id)
    if created is None:
        require_access(caller)
        raise QuotaExceeded(f"An account can have {quota:,} personal access tokens. Revoke one.")
    log_event("token_created", token_id=created["id"])
    return {**created, "token": str(token._replace(session_id=created["id"]))}


def _require_memberships(caller: Caller, workspace_ids: list[int]) -> None:
    shared = [one for one in workspace_ids if one != caller.user_id]
    found = database.rows(statements.memberships, workspace_ids=shared, **scope(caller))
    missing = sorted(set(shared) - {workspace_id for (workspace_id,) in found})
    if missing:
        require_access(caller)
        message = f"Workspace {missing[0]} not found."
        raise InvalidInput.at("/workspace_ids", message, "unknown_reference")


def list_tokens(caller: Caller, query: Mapping[str, Any]) -> TokenList:
    """Return a page of the caller's valid tokens, newest first.

    Args:
        query: the validated limit and cursor.

    Raises:
        InvalidInput: the cursor is invalid.
        SessionEnded: the caller's session has ended.
    """
    page = read_live_page(caller, query, statements.token_page, _TokenRow)
    return TokenList([row._asdict() for row in page.rows], page.total, page.next_cursor)


def revoke_token(caller: Caller, token_id: int) -> None:
    """Revoke one of the caller's tokens.

    Raises:
        NotFound: it is not valid any more, or it is another user's.
        SessionEnded: the caller's session has ended.
    """
    if database.row(statements.revoke_token, session_id=token_id, **scope(caller)) is None:
        get_me(caller)
        raise NotFound("Token not found")
    log_event("token_revoked", token_id=token_id)


def revoke_all_tokens(caller: Caller) -> int:
    """Revoke all tokens of the caller, and return their number.

    Raises:
        SessionEnded: the caller's session has ended.
    """
    revoked = database.rows(statements.revoke_tokens, **scope(caller))
    if not revoked:
        get_me(caller)
    log_event("all_tokens_revoked", revoked=len(revoked))
    return len(revoked)
