"""Idempotency keys: a request that is sent twice is done once.

The client makes up a key for a write and sends it again with each attempt
(draft-ietf-httpapi-idempotency-key-header). The answer is kept in the transaction of the write, so
that either both are there or none is; it belongs to the account, and is forgotten after a day.
Refusals are not kept: nothing was done, and the next attempt may succeed. What is kept is sealed by
the service's own key, for the answer to a login holds tokens.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
from flask import Response
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    ForeignKeyConstraint,
    FromClause,
    Index,
    Interval,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    and_,
    bindparam,
    column,
    delete,
    func,
    literal_column,
    select,
    table,
    true,
)
from sqlalchemy.dialects.postgresql import insert

from taskapi.db import database
from taskapi.db.database import Transaction
from taskapi.db.purging import Purge
from taskapi.db.statement import Statement
from taskapi.db.tenancy import own_account, owner_of_email, scope
from taskapi.extensions import db
from taskapi.http.application import Request
from taskapi.http.encryption import seal, unseal
from taskapi.http.responses import whole
from taskapi.identity import Caller
from taskapi.problems import InvalidInput, KeyInUse, KeyReused, TokenInvalid

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_HEADERS = ("ETag", "Location")
_PURPOSE = b"taskapi idempotency v1"

# Quoted as the draft has it (a string of RFC 9651), or bare, as most clients send it.
_KEY = re.compile(r'"([ !#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255})', re.ASCII)

_keys = Table(
    "idempotency_keys",
    db.metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("key", String(255, collation="C"), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    PrimaryKeyConstraint("user_id", "key"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    Index("ix_idempotency_keys_age", "user_id", "created_at"),
)

_accounts = table("users", column("id", BigInteger))
_key = bindparam("key", type_=String)
_seed = func.hashtextextended(bindparam("account", type_=String), 0)
_is_over = _keys.c.created_at <= func.now() - literal_column("interval '24 hours'", Interval)


class _Statements:
    """The statements on the keys of one account.

    Args:
        accounts: a table with a row for each.
        user_id: the column of it that has the account's id.
        condition: picks the row.
    """

    def __init__(
        self, accounts: FromClause, user_id: ColumnElement[int], condition: ColumnElement[bool]
    ) -> None:
        one = select(literal_column("1")).subquery()
        is_kept = and_(_keys.c.user_id == user_id, _keys.c.key == _key, ~_is_over)
        self.claim = Statement(
            select(
                # Held until the transaction ends; nobody waits for it.
                func.pg_try_advisory_xact_lock(func.hashtextextended(_key, _seed)).label("is_free"),
                user_id.label("user_id"),
                _keys.c.answer,
            ).select_from(one.outerjoin(accounts, condition).outerjoin(_keys, is_kept))
        )
        owner = select(user_id, _key, bindparam("answer", type_=LargeBinary), func.now()).where(
            condition
        )
        new = insert(_keys).from_select(["user_id", "key", "answer", "created_at"], owner)
        replaced = {name: new.excluded[name] for name in ("answer", "created_at")}
        owners = select(user_id).where(condition)
        others_over = and_(_keys.c.user_id.in_(owners), _keys.c.key != _key, _is_over)
        self.keep = Statement(
            new.on_conflict_do_update(
                index_elements=["user_id", "key"], set_=replaced, where=_is_over
            )
            .returning(_keys.c.key)
            .add_cte(delete(_keys).where(others_over).cte("swept")),
            writes=True,
        )


purge = Purge(_keys, _is_over)
"""Deletes the answers whose day is over."""


class Owner(NamedTuple):
    """The account that a key belongs to.

    Args:
        statements: what finds it.
        parameters: of these statements.
        name: what its requests have in common.
        is_caller: whether its session must live.
    """

    statements: _Statements
    parameters: Mapping[str, Any]
    name: str
    is_caller: bool = False


_of_caller = _Statements(_accounts, _accounts.c.id, own_account(_accounts))
_of_user = _Statements(
    _accounts, _accounts.c.id, _accounts.c.id == bindparam("user_id", type_=BigInteger)
)
_owner = owner_of_email()
_of_email = _Statements(_owner, _owner.c.user_id, true())


def caller_as_owner(caller: Caller) -> Owner:
    """Whoever calls."""
    return Owner(_of_caller, scope(caller), str(caller.user_id), is_caller=True)


def owner_by_id(user_id: int) -> Owner:
    """The account of a call that proves in another way whose it is."""
    return Owner(_of_user, {"user_id": user_id}, str(user_id))


def owner_by_email(email: str) -> Owner:
    """The account of a call that proves it by the password, or that makes it."""
    return Owner(_of_email, {"email": email}, email)


class _Kept(Exception):
    """The answer is there from an attempt before."""

    def __init__(self, response: Response) -> None:
        self.response = response


def once(
    request: Request, owner: Owner, asked: Mapping[str, Any], respond: Callable[[], Response]
) -> Response:
    """What the request answers, from the first time that it came with its key.

    Args:
        asked: what its body and its query say, checked.
        respond: does it; all that it writes is one transaction.

    Raises:
        InvalidInput: the key is malformed.
        KeyInUse, KeyReused, TokenInvalid: as they say.
    """
    key, said = _key_of(request), _fingerprint(request, asked)
    parameters = {"key": key, **owner.parameters}

    def claim(work: Transaction) -> None:
        found = work.row(owner.statements.claim, account=owner.name, **parameters) or {}
        if owner.is_caller and found["user_id"] is None:
            raise TokenInvalid
        if not found["is_free"]:
            raise KeyInUse
        if found["answer"] is not None:
            raise _Kept(_replay(found["answer"], said))

    try:
        with database.deferred(claim) as work:
            response = _respond(work, owner, respond)
            if work.has_begun:
                answer = _sealed(response, said)
                if not work.begin().row(owner.statements.keep, answer=answer, **parameters):
                    raise KeyInUse
            return response
    except _Kept as kept:
        return kept.response


def _respond(work: database.Deferred, owner: Owner, respond: Callable[[], Response]) -> Response:
    try:
        return respond()
    except InvalidInput:
        # Once a password is changed, what changed it is wrong: the key knows better.
        if owner.is_caller:
            work.begin()
        raise


def _key_of(request: Request) -> str:
    found = _KEY.fullmatch(request.environ["HTTP_IDEMPOTENCY_KEY"].strip())
    if not found:
        message = "Must be 1 to 255 printable ASCII characters, without quotes and backslashes."
        raise InvalidInput.at(HEADER, message, "invalid_idempotency_key")
    return found[1] or found[2]


def _fingerprint(request: Request, asked: Mapping[str, Any]) -> str:
    said = [request.method, request.path, asked]
    # What orjson does not know by itself are named tuples.
    dumped = orjson.dumps(said, default=list, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(dumped).hexdigest()


def _sealed(response: Response, said: str) -> bytes:
    headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
    body = response.get_data(as_text=True)
    return seal(orjson.dumps([said, response.status_code, headers, body]), _PURPOSE)


def _replay(answer: bytes, said: str) -> Response:
    opened = unseal(answer, _PURPOSE)
    said_before, status, headers, body = orjson.loads(opened) if opened else ("", 0, {}, "")
    if not hmac.compare_digest(said_before, said):
        raise KeyReused
    return whole(body.encode(), "application/json", status, {**headers, REPLAYED: "true"})
