"""Idempotency keys: a repeated request is performed once.

The client generates a key for a write and sends it with each attempt
(draft-ietf-httpapi-idempotency-key-header). The response is stored in the transaction of the write,
belongs to the account, and is deleted when it expires. Errors are not stored, since nothing was
changed and a retry may succeed. Stored responses are encrypted, because they may contain tokens.

A key reveals nothing to unauthenticated clients: operations without an access token verify the
password or the refresh token before they look up a key. Responses with tokens expire after two
minutes, so that a stolen request does not bypass the rotation of refresh tokens.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

import orjson
from flask import Flask, Response
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    LargeBinary,
    Text,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from taskapi.auth.models import User
from taskapi.db import database
from taskapi.db.database import Transaction
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.db.tenancy import USER_ID, WORKSPACE_ID, has_access, scope
from taskapi.extensions import table_of
from taskapi.http.application import Request
from taskapi.http.encryption import decrypt, encrypt
from taskapi.http.models import IdempotencyKey
from taskapi.http.rates import Rate
from taskapi.http.responses import raw_response
from taskapi.identity import Caller
from taskapi.problems import InvalidInput, KeyInUse, KeyReused, RateLimited, SessionEnded
from taskapi.runtime.context import extensions

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LIFETIME = timedelta(hours=24)
TOKENS_LIFETIME = timedelta(minutes=2)
"""Of responses that contain tokens."""

BYTES_PER_SECOND = 2_000
"""Bytes of responses that an account can store through a worker, in the long run."""

BYTES_AT_ONCE = 100_000_000
"""The same, after a pause."""

_HEADERS = ("ETag", "Location")
_PURPOSE = b"taskapi idempotency v1"

# Quoted as in the draft (a string of RFC 9651), or bare as most clients send it.
_KEY = re.compile(r'"([ !#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255})', re.ASCII)

_keys, _users = table_of(IdempotencyKey), table_of(User)
_key = bindparam("key", type_=Text)
_seed = func.hashtextextended(bindparam("account", type_=Text), 0)
# A parameter, because Citus supports only immutable functions in ON CONFLICT.
_now = bindparam("now", type_=DateTime(timezone=True))
_expires_at = bindparam("expires_at", type_=DateTime(timezone=True))
_has_expired = _keys.c.expires_at <= _now


class StorageRateExceeded(RateLimited):
    """Too many responses to requests with an idempotency key are stored."""

    detail = "Too much is stored for your idempotency keys. Retry later, or without a key."


class _Statements:
    """The statements on the keys of one account.

    Args:
        workspace_id: the workspace that the keys belong to.
        condition: the SQL condition for the account's row of users.
    """

    def __init__(self, workspace_id: ColumnElement[int], condition: ColumnElement[bool]) -> None:
        one = select(literal_column("1")).subquery()
        is_stored = and_(
            _keys.c.workspace_id == workspace_id,
            _keys.c.user_id == _users.c.id,
            _keys.c.key == _key,
            ~_has_expired,
        )
        self.claim = Statement(
            select(
                # Held until the transaction ends. Other requests do not wait for it.
                func.pg_try_advisory_xact_lock(func.hashtextextended(_key, _seed)).label("is_free"),
                _users.c.id.label("user_id"),
                _keys.c.response,
            ).select_from(one.outerjoin(_users, condition).outerjoin(_keys, is_stored))
        )
        owner = select(workspace_id.label("workspace_id"), _users.c.id).where(condition)
        response = bindparam("response", type_=LargeBinary)
        new = insert(_keys).from_select(
            ["workspace_id", "user_id", "key", "response", "expires_at"],
            owner.add_columns(_key, response, _expires_at),
        )
        stored = (
            new.on_conflict_do_update(
                index_elements=["workspace_id", "user_id", "key"],
                set_={"response": new.excluded.response, "expires_at": new.excluded.expires_at},
                where=_has_expired,
            )
            .returning(_keys.c.key)
            .cte("stored")
        )
        owners = owner.subquery("owners")
        others = and_(
            _keys.c.workspace_id == owners.c.workspace_id,
            _keys.c.user_id == owners.c.id,
            _keys.c.key != _key,
            _has_expired,
        )
        purged = delete(_keys).where(others).cte("purged")
        self.store = Statement(select(stored.c.key).add_cte(purged), writes=True)


purge = Purge(_keys, _keys.c.expires_at <= func.now())
"""Deletes the expired responses."""


class Owner(NamedTuple):
    """The account that a key belongs to.

    Args:
        statements: the statements on its keys.
        parameters: the parameters of these statements.
        name: a name for the account's lock.
        is_caller: whether its session must be active, and its role must allow the operation.
        lifetime: how long its responses are stored.
    """

    statements: _Statements
    parameters: Mapping[str, Any]
    name: str
    is_caller: bool = False
    lifetime: timedelta = LIFETIME


_of_caller = _Statements(WORKSPACE_ID, and_(_users.c.id == USER_ID, has_access()))
_user_id = bindparam("user_id", type_=BigInteger)
_of_user = _Statements(_user_id, _users.c.id == _user_id)
_of_email = _Statements(_users.c.id, _users.c.email == bindparam("email", type_=Text))


def owner_by_caller(caller: Caller, lifetime: timedelta = LIFETIME) -> Owner:
    """The caller, in the workspace of the request."""
    name = f"{caller.workspace_id}/{caller.user_id}"
    return Owner(_of_caller, scope(caller), name, is_caller=True, lifetime=lifetime)


def owner_by_id(user_id: int) -> Owner:
    """The account of an operation that has verified it, and whose response contains tokens."""
    return Owner(_of_user, {"user_id": user_id}, str(user_id), lifetime=TOKENS_LIFETIME)


def owner_by_email(email: str) -> Owner:
    """The account of an operation that verifies the password before it writes, or creates it."""
    return Owner(_of_email, {"email": email}, email, lifetime=TOKENS_LIFETIME)


class _Stored(Exception):
    """There is a stored response."""

    def __init__(self, response: Response) -> None:
        self.response = response


def once(
    request: Request, owner: Owner, values: Mapping[str, Any], respond: Callable[[], Response]
) -> Response:
    """The response to the first request with the key.

    Args:
        values: the validated body and query.
        respond: performs the request. All of its writes are one transaction.

    Raises:
        InvalidInput: the key is invalid.
        KeyInUse, KeyReused, SessionEnded: as they say.
    """
    key, fingerprint = _key_of(request), _fingerprint(request, values)
    now = datetime.now(UTC)
    parameters = {"key": key, "now": now, **owner.parameters}

    def claim(work: Transaction) -> None:
        found = work.row(owner.statements.claim, account=owner.name, **parameters) or {}
        if owner.is_caller and found["user_id"] is None:
            raise SessionEnded
        if not found["is_free"]:
            raise KeyInUse
        if found["response"] is not None:
            raise _Stored(_replay(found["response"], fingerprint))
        _count_stored(owner, 0)

    try:
        with database.deferred(claim) as work:
            response = _respond(work, owner, respond)
            if work.has_begun:
                encrypted = _encrypted(response, fingerprint)
                stored = {"response": encrypted, "expires_at": now + owner.lifetime, **parameters}
                if not work.begin().row(owner.statements.store, **stored):
                    # While it waited, the caller's session or access may have ended.
                    raise SessionEnded if owner.is_caller else KeyInUse
                _count_stored(owner, len(encrypted))
            return response
    except _Stored as stored:
        return stored.response


def _respond(work: database.Deferred, owner: Owner, respond: Callable[[], Response]) -> Response:
    try:
        return respond()
    except InvalidInput:
        # A repeated change of the password fails, since the current password is another now.
        if owner.is_caller:
            work.begin()
        raise


def _count_stored(owner: Owner, size: int) -> None:
    rate: Rate = extensions()["taskapi_stored_responses"]
    most = BYTES_AT_ONCE / BYTES_PER_SECOND
    early = rate.seconds_early(owner.name, size / BYTES_PER_SECOND, most)
    if early > most:
        raise StorageRateExceeded(headers={"Retry-After": str(ceil(early - most))})


def init_app(app: Flask) -> None:
    """Create the application's rate of stored responses."""
    app.extensions["taskapi_stored_responses"] = Rate()


def _key_of(request: Request) -> str:
    found = _KEY.fullmatch(request.environ["HTTP_IDEMPOTENCY_KEY"].strip())
    if not found:
        message = "Must be 1 to 255 printable ASCII characters, without quotes and backslashes."
        raise InvalidInput.at(HEADER, message, "invalid_idempotency_key")
    return found[1] or found[2]


def _fingerprint(request: Request, values: Mapping[str, Any]) -> str:
    conditions = [request.headers.get(name) for name in ("If-Match", "If-None-Match")]
    request_parts = [request.method, request.path, conditions, values]
    try:
        # The default is for named tuples.
        dumped = orjson.dumps(request_parts, default=list, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a number of more than 64 bits, which a recurrence rule can have
        dumped = json.dumps(request_parts, default=repr, sort_keys=True).encode()
    return hashlib.sha256(dumped).hexdigest()


def _encrypted(response: Response, fingerprint: str) -> bytes:
    headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
    body = response.get_data(as_text=True)
    return encrypt(orjson.dumps([fingerprint, response.status_code, headers, body]), _PURPOSE)


def _replay(stored: bytes, fingerprint: str) -> Response:
    content = decrypt(stored, _PURPOSE)
    stored_fingerprint, status, headers, body = (
        orjson.loads(content) if content else ("", 0, {}, "")
    )
    if not hmac.compare_digest(stored_fingerprint, fingerprint):
        raise KeyReused
    return raw_response(body.encode(), "application/json", status, {**headers, REPLAYED: "true"})
