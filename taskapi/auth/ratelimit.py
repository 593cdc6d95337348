"""Rate limits of the library `limits`, shared by all workers and machines.

The counters are stored in the database, or in another storage such as Redis. Each count is a
separate transaction, so that a failed request does not roll it back.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from time import time
from typing import NamedTuple

import psycopg
from flask import Flask, current_app
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import (
    BigInteger,
    Double,
    Interval,
    Text,
    bindparam,
    case,
    cast,
    delete,
    extract,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from config import Settings
from taskapi.auth.models import RateLimit
from taskapi.db import database
from taskapi.db.purging import Position, Purge
from taskapi.db.statement import Statement
from taskapi.extensions import table_of
from taskapi.problems import RateLimited, Unavailable

PURGE_ONE_IN = 100

_counters = table_of(RateLimit)

_key = bindparam("key", type_=Text)
_amount = bindparam("amount", type_=BigInteger)
_is_past = _counters.c.expires_at <= func.now()
_seconds = bindparam("seconds", type_=BigInteger)
_window_end = func.now() + _seconds * literal_column("interval '1 second'", Interval)

_new = insert(_counters).values(key=_key, count=_amount, expires_at=_window_end)
_increment = Statement(
    _new.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((_is_past, _amount), else_=_counters.c.count + _amount),
            "expires_at": case((_is_past, _new.excluded.expires_at), else_=_counters.c.expires_at),
        },
    ).returning(_counters.c.count),
    writes=True,
    independent=True,
)
_get = Statement(
    select(
        _counters.c.count, cast(extract("epoch", _counters.c.expires_at), Double).label("expires")
    ).where(_counters.c.key == _key, ~_is_past),
    independent=True,
)
_clear = Statement(delete(_counters).where(_counters.c.key == _key), writes=True, independent=True)
_reset = Statement(delete(_counters), writes=True, independent=True)

purge = Purge(_counters, _is_past)
"""Deletes the expired counters."""


class PostgresStorage(Storage):
    """A storage of the library `limits` in the application's database."""

    STORAGE_SCHEME = ["taskapi+postgresql"]
    _purged: Position | None = None

    @property
    def base_exceptions(self) -> type[Exception]:
        return psycopg.Error

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        if secrets.randbelow(PURGE_ONE_IN) == 0:
            _, self._purged = purge.step(self._purged)
        return int(database.rows(_increment, key=key, seconds=expiry, amount=amount)[0][0])

    def get(self, key: str) -> int:
        found = database.row(_get, key=key)
        return int(found["count"]) if found else 0

    def get_expiry(self, key: str) -> float:
        found = database.row(_get, key=key)
        return float(found["expires"]) if found else time()

    def check(self) -> bool:
        database.row(_get, key="")
        return True

    def reset(self) -> None:
        database.rows(_reset)

    def clear(self, key: str) -> None:
        database.rows(_clear, key=key)


class Limit(NamedTuple):
    """How often something may be tried: `Limit("login", 10, "minute")`."""

    action: str
    amount: int
    period: str

    @property
    def item(self) -> RateLimitItem:
        return parse(f"{self.amount}/{self.period}")

    def times(self, factor: int) -> Limit:
        """Return the limit with so many times the amount."""
        return self._replace(amount=self.amount * factor)


def init_app(app: Flask, settings: Settings) -> None:
    """Configure the storage, or turn the limits off."""
    uri = settings.ratelimit_storage_uri or "taskapi+postgresql://"
    storage = storage_from_string(uri, wrap_exceptions=True)
    limiter = FixedWindowRateLimiter(storage) if settings.ratelimit_enabled else None
    app.extensions["taskapi_limiter"] = limiter


def spend(limit: Limit, by: str | int) -> None:
    """Count an attempt.

    Args:
        by: whose attempt it is, such as an address or an email; only a hash of it is stored.

    Raises:
        RateLimited: it was one too many; Retry-After says when the next may come.
        Unavailable: the storage does not respond.
    """
    with _storage_errors():
        limiter = _limiter()
        if limiter is None or limiter.hit(limit.item, *_name(limit, by)):
            return
        reset_time = limiter.get_window_stats(limit.item, *_name(limit, by)).reset_time
    raise RateLimited(headers={"Retry-After": str(max(1, ceil(reset_time - time())))})


def record(limit: Limit, by: str | int) -> None:
    """Count what has happened, without a limit.

    Raises:
        Unavailable: the storage does not respond.
    """
    with _storage_errors():
        if limiter := _limiter():
            limiter.hit(limit.item, *_name(limit, by))


def count(limit: Limit, by: str | int) -> int:
    """Return how often this was counted in the current window.

    Raises:
        Unavailable: the storage does not respond.
    """
    with _storage_errors():
        limiter = _limiter()
        return limiter.storage.get(limit.item.key_for(*_name(limit, by))) if limiter else 0


def forget(limit: Limit, by: str | int) -> None:
    """Reset a counter.

    Raises:
        Unavailable: the storage does not respond.
    """
    with _storage_errors():
        if limiter := _limiter():
            limiter.clear(limit.item, *_name(limit, by))


def _limiter() -> FixedWindowRateLimiter | None:
    found: FixedWindowRateLimiter | None = current_app.extensions["taskapi_limiter"]
    return found


def _name(limit: Limit, by: str | int) -> tuple[str, str]:
    return limit.action, hashlib.sha256(str(by).encode()).hexdigest()[:32]


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise Unavailable from None
