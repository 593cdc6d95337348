"""Password hashing with bcrypt, one password at a time in a thread of its own.

bcrypt takes a quarter of a second of CPU time and releases the interpreter's lock meanwhile: in a
thread it does not block the event loop. Callers hold no database connection while they wait.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import TypeVar

import bcrypt
from flask import Flask, current_app
from gevent.threadpool import ThreadPool

from config import Settings
from taskapi.auth.fairness import FairQueue, Group

T = TypeVar("T")

_CONTEXT = b"taskapi password v1"

LOCAL = Group("command line", is_known=True)
"""Who waits for the hashing thread outside of requests."""


class Hasher:
    """The hashing thread of a process, and the queue in front of it."""

    def __init__(self) -> None:
        self._pool = ThreadPool(1)
        self._queue = FairQueue()
        self.waiting = 0
        self.hashes, self.hash_seconds = 0, 0.0

    def run(self, work: Callable[[], T], group: Group) -> T:
        """Do the work in the thread and return its result.

        Raises:
            TooBusy: the turn of this client did not come in time.
        """
        self.waiting += 1
        try:
            with self._queue.turn(group):
                return self._timed(work)
        finally:
            self.waiting -= 1

    def _timed(self, work: Callable[[], T]) -> T:
        started = perf_counter()
        try:
            result: T = self._pool.apply(work)
            return result
        finally:
            self.hashes += 1
            self.hash_seconds += perf_counter() - started


def init_app(app: Flask, settings: Settings) -> None:
    """Configure the cost of hashes. The thread starts with the first password, after any fork."""
    app.extensions["taskapi_hasher"] = cache(Hasher)
    app.extensions["taskapi_bcrypt_rounds"] = settings.bcrypt_rounds


def hasher(app: Flask) -> Hasher:
    """Return the application's hasher in this process."""
    made: Callable[[], Hasher] = app.extensions["taskapi_hasher"]
    return made()


def hash_password(password: str, group: Group) -> str:
    """Return a bcrypt hash of the password, to be stored.

    Raises:
        TooBusy: the turn of this client did not come in time.
    """
    rounds = current_app.extensions["taskapi_bcrypt_rounds"]
    return _run(lambda: bcrypt.hashpw(_shortened(password), bcrypt.gensalt(rounds)).decode(), group)


def verify_password(password: str, hashed_password: str | None, group: Group) -> bool:
    """Return whether the password matches the hash. A missing hash takes the same time.

    Raises:
        TooBusy: the turn of this client did not come in time.
    """
    hashed = hashed_password or _dummy_hash(current_app.extensions["taskapi_bcrypt_rounds"])
    is_right = _run(lambda: _check(password, hashed), group)
    return is_right and hashed_password is not None


def _run(work: Callable[[], T], group: Group) -> T:
    return hasher(current_app).run(work, group)


def _check(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(_shortened(password), hashed.encode())
    except ValueError:  # the stored value is not a bcrypt hash
        return False


def _shortened(password: str) -> bytes:
    """Return at most 72 bytes without NUL, the only input that bcrypt accepts, for any password.

    The HMAC key prevents hashes leaked from another service from being tried here (OWASP Password
    Storage Cheat Sheet).
    """
    return base64.b64encode(hmac.digest(_CONTEXT, password.encode(), hashlib.sha384))


@cache
def _dummy_hash(rounds: int) -> str:
    # Built from a salt alone: computing a hash would take the first caller twice the time.
    return (bcrypt.gensalt(rounds) + b"." * 31).decode()
