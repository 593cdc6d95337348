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
from threading import Lock, Semaphore
from time import perf_counter
from typing import TypeVar

import bcrypt
from flask import Flask, current_app
from gevent.threadpool import ThreadPool

from config import Settings
from taskapi.problems import Unavailable

T = TypeVar("T")

_CONTEXT = b"taskapi password v1"

_QUEUE_SIZE = 6
"""Passwords in the queue, the one being hashed included: some 3 seconds' work on a busy machine."""

_MAX_WAIT = 2.0
"""Seconds that a request waits for a free place in the queue before it gets a 503."""


class TooBusy(Unavailable):
    """The queue of passwords stayed full."""

    detail = "Too many people are logging in at this moment; try again in a few seconds."
    headers = {"Retry-After": "2"}


class Hasher:
    """The hashing thread of a process, and the bounded queue in front of it.

    Requests in the queue are served in order of arrival, however long that takes. A full queue
    delays its 503s, because clients that retry without a pause would otherwise keep the server busy
    with 503s alone.
    """

    def __init__(self) -> None:
        self._pool = ThreadPool(1)
        self._queue = Semaphore(_QUEUE_SIZE)
        self._turn = Lock()
        self.waiting = 0
        self.hashes, self.hash_seconds = 0, 0.0

    def run(self, work: Callable[[], T]) -> T:
        """Do the work in the thread and return its result.

        Raises:
            TooBusy: the queue stayed full.
        """
        self.waiting += 1
        try:
            if not self._queue.acquire(timeout=_MAX_WAIT):
                raise TooBusy
            try:
                with self._turn:
                    return self._timed(work)
            finally:
                self._queue.release()
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


def hash_password(password: str) -> str:
    """Return a bcrypt hash of the password, to be stored.

    Raises:
        TooBusy: the queue stayed full.
    """
    rounds = current_app.extensions["taskapi_bcrypt_rounds"]
    return _run(lambda: bcrypt.hashpw(_shortened(password), bcrypt.gensalt(rounds)).decode())


def verify_password(password: str, hashed_password: str | None) -> bool:
    """Return whether the password matches the hash. A missing hash takes the same time.

    Raises:
        TooBusy: the queue stayed full.
    """
    hashed = hashed_password or _dummy_hash(current_app.extensions["taskapi_bcrypt_rounds"])
    is_right = _run(lambda: _check(password, hashed))
    return is_right and hashed_password is not None


def _run(work: Callable[[], T]) -> T:
    return hasher(current_app).run(work)


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
