"""Passwords: hashed by bcrypt in threads of their own, a bounded number at a time.

bcrypt takes a quarter of a second of a core and lets go of the interpreter's lock meanwhile: on the
event loop every other request would wait for it, in a thread none does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import bcrypt
from flask import Flask, current_app
from gevent.threadpool import ThreadPool

from config import Settings
from taskapi.core.errors import Unavailable

T = TypeVar("T")

_CONTEXT = b"taskapi password v1"
_THREADS = 1
_MAX_WAITING = 8
"""Some two seconds of work: whoever came later would wait longer than people do."""


class TooBusy(Unavailable):
    """As many passwords are being hashed as fit into a bearable time."""

    detail = "Too many people are logging in at this moment; try again in a few seconds."
    headers = {"Retry-After": "2"}


class _Hasher:
    """The threads of one process, and how many wait for them."""

    def __init__(self) -> None:
        self._pool = ThreadPool(_THREADS)
        self._pending = 0

    def run(self, work: Callable[[], T]) -> T:
        if self._pending >= _THREADS + _MAX_WAITING:
            raise TooBusy
        self._pending += 1
        try:
            result: T = self._pool.apply(work)
            return result
        finally:
            self._pending -= 1


def init_app(app: Flask, settings: Settings) -> None:
    """Set the cost of hashes; threads start with the first password, after any fork."""
    app.extensions["taskapi_hasher"] = cache(_Hasher)
    app.extensions["taskapi_bcrypt_rounds"] = settings.bcrypt_rounds


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
    hasher: Callable[[], _Hasher] = current_app.extensions["taskapi_hasher"]
    return hasher().run(work)


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
