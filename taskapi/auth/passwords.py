"""Passwords: hashed by bcrypt in a thread of its own, one at a time, and nobody waits for long.

bcrypt takes a quarter of a second of a core and lets go of the interpreter's lock meanwhile: on the
event loop every other request would wait for it, in a thread none does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sys
from collections.abc import Callable
from functools import cache
from threading import Lock, get_native_id
from time import perf_counter, sleep
from typing import TypeVar

import bcrypt
from flask import Flask, current_app
from gevent.threadpool import ThreadPool

from config import Settings
from taskapi.problems import Unavailable

T = TypeVar("T")

_CONTEXT = b"taskapi password v1"
_PATIENCE = 2.2
"""Seconds: whom it would take longer than this is told to come back instead."""

_MARGIN = 1.7
"""How much longer than the last hash the next one may take: cores are shared."""

_MAX_WAITING = 200

_NICENESS = 5
"""Requests that need no password come first when there are more than the cores can do."""


class TooBusy(Unavailable):
    """More passwords wait to be hashed than can be in a bearable time."""

    detail = "Too many people are logging in at this moment; try again in a few seconds."
    headers = {"Retry-After": "2"}


class Hasher:
    """One thread of a process, and whoever waits for it.

    Who has to be refused is refused after a while, not at once: clients that come back without a
    pause would otherwise keep the service busy with nothing but refusals.
    """

    def __init__(self, rounds: int) -> None:
        self._pool = ThreadPool(1)
        self._turn = Lock()
        self.waiting = 0
        self.hashes, self.hash_seconds = 0, 0.0
        # Until it is measured: thrice what it takes on a core of its own.
        self._seconds = 0.75 * 2.0 ** (rounds - 12)

    def run(self, work: Callable[[], T]) -> T:
        self._wait()
        started = perf_counter()
        try:
            result: T = self._pool.apply(_gently, (work,))
            return result
        finally:
            self._seconds = perf_counter() - started
            self.hashes += 1
            self.hash_seconds += self._seconds
            self._turn.release()

    def _wait(self) -> None:
        """Wait for one's turn, as long as the work itself leaves time, going by the last one."""
        if self.waiting >= _MAX_WAITING:
            raise TooBusy
        self.waiting += 1
        began = perf_counter()
        try:
            if not self._turn.acquire(timeout=max(0.0, _PATIENCE - _MARGIN * self._seconds)):
                sleep(max(0.0, _PATIENCE - (perf_counter() - began)))
                raise TooBusy
        finally:
            self.waiting -= 1


def _gently(work: Callable[[], T]) -> T:
    """Do the work with less priority than the process has; Linux knows one for each thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICENESS)
    return work()


def init_app(app: Flask, settings: Settings) -> None:
    """Set the cost of hashes; threads start with the first password, after any fork."""
    app.extensions["taskapi_hasher"] = cache(lambda: Hasher(settings.bcrypt_rounds))
    app.extensions["taskapi_bcrypt_rounds"] = settings.bcrypt_rounds


def hasher(app: Flask) -> Hasher:
    """The application's hasher in this process."""
    made: Callable[[], Hasher] = app.extensions["taskapi_hasher"]
    return made()


def hash_password(password: str) -> str:
    """A bcrypt hash of the password, to store.

    Raises:
        TooBusy: too many are waiting already.
    """
    rounds = current_app.extensions["taskapi_bcrypt_rounds"]
    return _run(lambda: bcrypt.hashpw(_shortened(password), bcrypt.gensalt(rounds)).decode())


def verify_password(password: str, hashed_password: str | None) -> bool:
    """Whether the password is the hashed one, in the same time when there is none.

    Raises:
        TooBusy: too many are waiting already.
    """
    hashed = hashed_password or _dummy_hash(current_app.extensions["taskapi_bcrypt_rounds"])
    is_right = _run(lambda: _check(password, hashed))
    return is_right and hashed_password is not None


def _run(work: Callable[[], T]) -> T:
    return hasher(current_app).run(work)


def _check(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(_shortened(password), hashed.encode())
    except ValueError:  # a stored hash that is none
        return False


def _shortened(password: str) -> bytes:
    """At most 72 bytes without NUL, which is all that bcrypt takes, from any password.

    HMAC keeps hashes that leaked elsewhere from being tried here (OWASP Password Storage Cheat
    Sheet).
    """
    return base64.b64encode(hmac.digest(_CONTEXT, password.encode(), hashlib.sha384))


@cache
def _dummy_hash(rounds: int) -> str:
    # Made from a salt alone: to compute one here would cost the first caller the time twice.
    return (bcrypt.gensalt(rounds) + b"." * 31).decode()
