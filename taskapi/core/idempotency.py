"""Idempotency keys: a request that is sent twice is done once.

The client makes up a key for a write and sends it again with each attempt
(draft-ietf-httpapi-idempotency-key-header). The answer is kept in the transaction of the write, so
that either both are there or none is; it belongs to the account, and is forgotten after a day.
Refusals are not kept: nothing was done, and the next attempt may succeed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Response
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
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
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from taskapi.core import database
from taskapi.core.application import Request
from taskapi.core.database import Statement
from taskapi.core.errors import InvalidInput, KeyInUse, KeyReused, TokenInvalid
from taskapi.core.identity import Caller
from taskapi.core.ownership import own_account, scope
from taskapi.core.responses import whole
from taskapi.extensions import db

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_HEADERS = ("ETag", "Location")

# Quoted as the draft has it (a string of RFC 9651), or bare, as most clients send it.
_KEY = re.compile(r'"([ !#-\[\]-~]{1,255})"|([!#-\[\]-~]{1,255})', re.ASCII)


_keys = Table(
    "idempotency_keys",
    db.metadata,
    Column("user_id", BigInteger, nullable=False),
    Column("key", String(255, collation="C"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    PrimaryKeyConstraint("user_id", "key"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    Index("ix_idempotency_keys_age", "user_id", "created_at"),
)

_accounts = table("users", column("id", BigInteger))
_key = bindparam("key", type_=String)
_user_id = bindparam("caller_user_id", type_=BigInteger)
_is_over = _keys.c.created_at <= func.now() - literal_column("interval '24 hours'", Interval)

_claim = Statement(
    select(
        # Held until the transaction ends; nobody waits for it.
        func.pg_try_advisory_xact_lock(func.hashtextextended(_key, _accounts.c.id)).label(
            "is_free"
        ),
        _keys.c.fingerprint,
        _keys.c.status,
        _keys.c.headers,
        _keys.c.body,
    )
    .select_from(
        _accounts.outerjoin(
            _keys, and_(_keys.c.user_id == _user_id, _keys.c.key == _key, ~_is_over)
        )
    )
    .where(own_account(_accounts))
)
"""The kept answer, and whether nobody else works with the key; no row without a live session."""

_new = insert(_keys).values(
    user_id=_user_id,
    key=_key,
    fingerprint=bindparam("fingerprint", type_=LargeBinary),
    status=bindparam("status", type_=Integer),
    headers=bindparam("headers", type_=JSONB),
    body=bindparam("body", type_=LargeBinary),
)
_kept = [column for column in _keys.c if not column.primary_key]
_others_over = and_(_keys.c.user_id == _user_id, _keys.c.key != _key, _is_over)
_keep = Statement(
    _new.on_conflict_do_update(
        index_elements=["user_id", "key"],
        set_={column.name: _new.excluded[column.name] for column in _kept},
        where=_is_over,
    )
    .returning(_keys.c.key)
    .add_cte(delete(_keys).where(_others_over).cte("swept")),
    writes=True,
)
"""Keep an answer in place of one whose day is over; no row when another was kept meanwhile."""


def once(
    request: Request, caller: Caller, body: Mapping[str, Any], respond: Callable[[], Response]
) -> Response:
    """What the request answers, from the first time that it came with its key.

    Args:
        body: what it says, checked.
        respond: does it.

    Raises:
        InvalidInput: the key is malformed.
        KeyInUse, KeyReused, TokenInvalid: as they say.
    """
    key, fingerprint = _key_of(request), _fingerprint(request, body)
    with database.transaction() as work:
        found = work.row(_claim, key=key, **scope(caller))
        if found is None:
            raise TokenInvalid
        if not found["is_free"]:
            raise KeyInUse
        if found["fingerprint"] is not None:
            return _replay(found, fingerprint)
        response = respond()
        kept = work.row(
            _keep,
            key=key,
            fingerprint=fingerprint,
            status=response.status_code,
            headers=orjson.dumps({name: response.headers[name] for name in _HEADERS}).decode(),
            body=response.get_data(),
            caller_user_id=caller.user_id,
        )
        if kept is None:
            raise KeyInUse
    return response


def _key_of(request: Request) -> str:
    found = _KEY.fullmatch(request.environ["HTTP_IDEMPOTENCY_KEY"].strip())
    if not found:
        message = "Must be 1 to 255 printable ASCII characters, without quotes and backslashes."
        raise InvalidInput.at(HEADER, message, "invalid_idempotency_key")
    return found[1] or found[2]


def _fingerprint(request: Request, body: Mapping[str, Any]) -> bytes:
    said = [request.method, request.path, body]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def _replay(found: Mapping[str, Any], fingerprint: bytes) -> Response:
    if found["fingerprint"] != fingerprint:
        raise KeyReused
    headers = {**found["headers"], REPLAYED: "true"}
    return whole(found["body"], "application/json", found["status"], headers)
