"""Admission: limits on concurrent requests of one caller, and on their rate, in a worker.

A request counts towards its account once the worker has verified the session, and before that
towards its network, so that a revoked token uses up nothing of its account's limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address, ip_network
from time import monotonic, sleep

from flask import Flask, Response, current_app

from config import Settings
from taskapi.db import database
from taskapi.db.concurrency import Share, TooManyConcurrentRequests
from taskapi.http.application import CompleteResponse, Request
from taskapi.identity import Caller
from taskapi.problems import RateLimited, TokenInvalid
from taskapi.runtime import CLOSE

MAX_OF_ACCOUNT = 100
"""Concurrent requests of one account."""

MAX_OF_NETWORK = 500
"""Concurrent requests without a verified session from one network, which many users may share."""

RATE = 500
"""Requests per second of one account, in the long run."""

BURST = 20_000
"""Requests of one account at any rate, after a pause."""

PAUSE_SECONDS = 1.0
"""The delay of a 429 response, so that clients that retry at once do not occupy the worker."""

MAX_UNSENT_BYTES = 16_000_000
"""The maximum size of large responses to one account that are still to be sent."""

_LARGE_BYTES = 64_000
_VERIFIED_SECONDS = 60
_MAX_REMEMBERED = 10_000
_IPV4 = 4


class RequestRateExceeded(RateLimited):
    """The account sends requests at too high a rate."""

    detail = f"Send at most {RATE} requests a second."
    headers = {"Retry-After": "1"}


class Admission:
    """The requests in progress in a worker."""

    def __init__(self, *, limits_rate: bool) -> None:
        self._limits_rate = limits_rate
        self._in_progress: Counter[str] = Counter()
        self._unsent: Counter[str] = Counter()
        self._next_free: dict[int, float] = {}
        self._verified: dict[int, float] = {}

    def admit(
        self, request: Request, caller: Caller | None, respond: Callable[[], Response]
    ) -> Response:
        """Handle a request within its limits.

        Args:
            respond: returns the response.

        Raises:
            TooManyConcurrentRequests, RequestRateExceeded: as they say, after a delay.
        """
        key, limit = self._counted_towards(request, caller)
        if self._in_progress[key] >= limit:
            raise _delayed(request, TooManyConcurrentRequests())
        if caller and self._limits_rate and self._is_too_fast(caller.user_id):
            raise _delayed(request, RequestRateExceeded())
        self._in_progress[key] += 1
        try:
            response = respond()
        except TokenInvalid:
            if caller:
                self._verified.pop(caller.session_id, None)
            raise
        finally:
            _subtract(self._in_progress, key, 1)
        if caller and database.seconds_spent():
            self._remember(caller)
        self._count_unsent(key, response)
        return response

    def _counted_towards(self, request: Request, caller: Caller | None) -> tuple[str, int]:
        is_verified = caller and self._verified.get(caller.session_id, 0) > monotonic()
        if caller and is_verified:
            key, limit = f"account {caller.user_id}", MAX_OF_ACCOUNT
            writes = f"workspace {caller.workspace_id}"
        else:
            key, limit = f"network {_network_of(request)}", MAX_OF_NETWORK
            writes = key
        database.count_towards(Share(key, writes, lambda: self._unsent[key] > MAX_UNSENT_BYTES))
        return key, limit

    def _count_unsent(self, key: str, response: Response) -> None:
        size = response.content_length or 0
        if size >= _LARGE_BYTES and isinstance(response, CompleteResponse):
            self._unsent[key] += size
            response.on_sent = partial(_subtract, self._unsent, key, size)

    def _is_too_fast(self, user_id: int) -> bool:
        """The generic cell rate algorithm (ITU-T I.371)."""
        now = monotonic()
        next_free = max(self._next_free.get(user_id, now), now)
        if next_free - now > BURST / RATE:
            return True
        if len(self._next_free) >= _MAX_REMEMBERED:
            self._next_free = {k: time for k, time in self._next_free.items() if time > now}
        self._next_free[user_id] = next_free + 1 / RATE
        return False

    def _remember(self, caller: Caller) -> None:
        if len(self._verified) >= _MAX_REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[caller.session_id] = monotonic() + _VERIFIED_SECONDS


def init_app(app: Flask, settings: Settings) -> None:
    """Create the application's admission."""
    app.extensions["taskapi_admission"] = Admission(limits_rate=settings.ratelimit_enabled)


def admission() -> Admission:
    """The application's admission."""
    found: Admission = current_app.extensions["taskapi_admission"]
    return found


def _subtract(counter: Counter[str], key: str, amount: int) -> None:
    counter[key] -= amount
    if not counter[key]:
        del counter[key]


def _delayed(request: Request, problem: RateLimited) -> RateLimited:
    sleep(PAUSE_SECONDS)
    request.environ[CLOSE] = True
    return problem


def _network_of(request: Request) -> str:
    """The client's address; for IPv6 the /64, which belongs to one subscriber."""
    host, _, _zone = (request.remote_addr or "").partition("%")
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(address if address.version == _IPV4 else ip_network(f"{host}/64", strict=False))
