"""Admission: limits on concurrent requests of one caller, and on their rate, in a worker.

A request counts towards its account once the worker has verified the session. Before that it counts
towards the session, so that a revoked token uses up nothing of its account's limits. Requests
without a token count towards their network. In the same way, writes to a shared workspace count
towards it once the worker has seen that the account may write there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from time import monotonic, sleep
from typing import Any

from flask import Flask, Response

from config import Settings
from taskapi.db import database
from taskapi.db.concurrency import Share, Slots, TooManyConcurrentRequests
from taskapi.http.addresses import client_address, network
from taskapi.http.application import CompleteResponse, Request
from taskapi.http.rates import Rate
from taskapi.identity import Caller
from taskapi.problems import Forbidden, InvalidInput, RateLimited, TokenInvalid
from taskapi.runtime import CLOSE
from taskapi.runtime.context import extensions

MAX_OF_ACCOUNT = 100
"""Concurrent requests of one account, and of one session that the worker has not verified yet."""

MAX_OF_NETWORK = 500
"""Concurrent requests without a token from one network, which many users may share."""

RATE = 500
"""Requests per second of one account, in the long run."""

BURST = 20_000
"""Requests of one account at any rate, after a pause."""

PAUSE_SECONDS = 1.0
"""The delay of a 429 response, so that clients that retry at once do not occupy the worker."""

MAX_PAUSE_SECONDS = 10.0
"""The longest delay: a worker that is to end waits for the responses that are delayed."""

REFUSALS_PER_SECOND = 100
"""Error responses of a worker to one caller. More of them are delayed longer."""

Turn = AbstractContextManager[None]

_LARGE_BYTES = 64_000
_VERIFIED_SECONDS = 3_600
_MAX_REMEMBERED = 10_000


class RequestRateExceeded(RateLimited):
    """The account sends requests at too high a rate."""

    detail = f"Send at most {RATE} requests a second."
    headers = {"Retry-After": "1"}


class Admission:
    """The requests in progress in a worker.

    Args:
        turns: for the reads, and for the writes, of an account that a worker executes at a time.
        seconds: the longest wait for a turn.
        limits_rate: whether the rate of an account's requests is limited.
    """

    def __init__(self, turns: Slots, seconds: float, *, limits_rate: bool) -> None:
        self._turns = turns
        self._unverified_turns = Slots(1)
        self._lookups = Slots(1)
        self._seconds = seconds
        self._limits_rate = limits_rate
        self._requests = Rate()
        self._refusals = Rate()
        self._in_progress: Counter[str] = Counter()
        self._unsent: Counter[str] = Counter()
        self._verified: dict[int, float] = {}
        self._writers: dict[tuple[int, int], None] = {}

    def admit(
        self, request: Request, caller: Caller | None, respond: Callable[[Turn], Response]
    ) -> Response:
        """Handle a request within its limits.

        Args:
            respond: returns the response. It takes the turn once the request has arrived, so that
                slow clients do not block others.

        Raises:
            TooManyConcurrentRequests, RequestRateExceeded: as they say, after a delay.
        """
        share = self._share_of(request, caller)
        database.count_towards(share)
        is_verified = bool(caller and self._verified.get(caller.session_id, 0) > monotonic())
        key, limit, turn = self._limits_of(request, caller, share.key, is_verified=is_verified)
        if self._in_progress.get(key, 0) >= limit:
            raise self._refused(key, request, TooManyConcurrentRequests())
        if caller and self._is_too_fast(key):
            raise self._refused(key, request, RequestRateExceeded())
        self._in_progress[key] += 1
        try:
            response = respond(turn)
        except TooManyConcurrentRequests as problem:
            raise self._refused(key, request, problem) from None
        except InvalidInput:
            if self._limits_rate:
                self._pause(share.key, 0)
            raise
        except (TokenInvalid, Forbidden) as problem:
            if caller:
                self._forget(caller, problem)
            raise
        finally:
            _subtract(self._in_progress, key, 1)
        if caller and database.seconds_spent():
            self._remember(caller, is_verified=is_verified)
        if isinstance(response, CompleteResponse) and response.size >= _LARGE_BYTES:
            self._count_unsent(share.key, response)
        return response

    @contextmanager
    def lookup(self, request: Request) -> Iterator[None]:
        """Look up a token that the worker does not know. It counts towards the network.

        Raises:
            TooManyConcurrentRequests: the network sends too many such tokens.
        """
        key = _network_key(request)
        database.count_towards(Share(key, None, self._unsent))
        try:
            with self._lookups.slot(key, self._seconds):
                yield
        except TooManyConcurrentRequests as problem:
            raise self._refused(key, request, problem) from None

    def delay_refusal(self, request: Request) -> None:
        """Delay the error response to a request without a valid token, if there are many."""
        self._pause(_network_key(request), 0)

    def _refused(self, key: str, request: Request, problem: RateLimited) -> RateLimited:
        self._pause(key, PAUSE_SECONDS)
        request.environ[CLOSE] = True
        return problem

    def _pause(self, key: str, least: float) -> None:
        early = self._refusals.seconds_early(key, 1 / REFUSALS_PER_SECOND, MAX_PAUSE_SECONDS)
        if seconds := min(max(least, early), MAX_PAUSE_SECONDS):
            sleep(seconds)

    def _is_too_fast(self, key: str) -> bool:
        most = BURST / RATE
        return self._limits_rate and self._requests.seconds_early(key, 1 / RATE, most) > most

    def _limits_of(
        self, request: Request, caller: Caller | None, key: str, *, is_verified: bool
    ) -> tuple[str, int, Turn]:
        """What a request counts towards, how many may do so at a time, and its turn."""
        if caller is None:
            return key, MAX_OF_NETWORK, nullcontext()
        turns = self._turns if is_verified else self._unverified_turns
        turn = turns.slot((key, request.is_read), self._seconds)
        return key if is_verified else f"session {caller.session_id}", MAX_OF_ACCOUNT, turn

    def _count_unsent(self, key: str, response: CompleteResponse) -> None:
        self._unsent[key] += response.size
        response.on_sent = partial(_subtract, self._unsent, key, response.size)

    def _share_of(self, request: Request, caller: Caller | None) -> Share:
        if caller is None:
            return Share(_network_key(request), None, self._unsent)
        key = f"account {caller.user_id}"
        is_known = not caller.is_in_shared_workspace or _writer(caller) in self._writers
        return Share(key, caller.workspace_id if is_known else key, self._unsent)

    def _remember(self, caller: Caller, *, is_verified: bool) -> None:
        if not is_verified:
            _store(self._verified, caller.session_id, monotonic() + _VERIFIED_SECONDS)
        if caller.writes:
            _store(self._writers, _writer(caller), None)

    def _forget(self, caller: Caller, problem: TokenInvalid | Forbidden) -> None:
        if isinstance(problem, TokenInvalid):
            self._verified.pop(caller.session_id, None)
        else:
            self._writers.pop(_writer(caller), None)


def init_app(app: Flask, settings: Settings) -> None:
    """Create the application's admission."""
    app.extensions["taskapi_admission"] = Admission(
        Slots(max(1, settings.database_pool_size // 2)),
        settings.database_pool_timeout,
        limits_rate=settings.ratelimit_enabled,
    )


def admission() -> Admission:
    """The application's admission."""
    found: Admission = extensions()["taskapi_admission"]
    return found


def _writer(caller: Caller) -> tuple[int, int]:
    return caller.user_id, caller.workspace_id


def _store(remembered: dict[Any, Any], key: Any, value: Any) -> None:
    if key not in remembered and len(remembered) >= _MAX_REMEMBERED:
        del remembered[next(iter(remembered))]
    remembered[key] = value


def _subtract(counter: Counter[str], key: str, amount: int) -> None:
    counter[key] -= amount
    if not counter[key]:
        del counter[key]


def _network_key(request: Request) -> str:
    return f"network {network(client_address(request))}"
