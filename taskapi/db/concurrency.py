"""Limits on the connections that one caller uses at a time, so that some are free for others.

A request that exceeds them waits in its caller's queue, before it takes a connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from taskapi.problems import RateLimited

MAX_UNSENT_BYTES = 16_000_000
"""The maximum size of large responses to one account that are still to be sent."""

T = TypeVar("T")

_UNLIMITED = nullcontext()


class TooManyConcurrentRequests(RateLimited):
    """The caller has too many requests in progress."""

    code = "too_many_concurrent_requests"
    detail = "Too many of your requests are in progress. Send fewer at a time."
    headers = {"Retry-After": "1"}


class Share(NamedTuple):
    """What a request counts towards: its account, or its network without a token."""

    key: str
    """Of the account or of the network. Equal keys share a limit."""

    writes_to: Hashable | None
    """What the writes of a request with a token count towards: its workspace, or its account until
    the worker knows that it may write there. None without a token."""

    unsent: Mapping[str, int]
    """The bytes of large responses that are still to be sent, by key."""

    def raise_if_congested(self) -> None:
        """Refuse to read more while too much is still to be sent.

        Raises:
            TooManyConcurrentRequests: as it says.
        """
        if self.unsent.get(self.key, 0) > MAX_UNSENT_BYTES:
            raise TooManyConcurrentRequests


class Waiter(Generic[T]):
    """A request that waits for an outcome, which another one sets.

    `threading.Event` and `Condition` do the same and cost more.
    """

    outcome: T | None = None

    def __init__(self) -> None:
        self._is_set = Lock()
        self._is_set.acquire()

    def set(self, outcome: T) -> None:
        self.outcome = outcome
        self._is_set.release()

    def wait(self, seconds: float) -> None:
        self._is_set.acquire(timeout=seconds)


class _Queue:
    def __init__(self) -> None:
        self.active = 0
        self.waiting: deque[Waiter[bool]] = deque()


class Slots:
    """Limits how many requests hold a slot of each key. Others wait in the order of arrival."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._queues: dict[Hashable, _Queue] = {}

    def slot(self, key: Hashable, seconds: float) -> AbstractContextManager[None]:
        """A slot of the key, which is held in the block.

        Args:
            seconds: the longest wait.

        Raises:
            TooManyConcurrentRequests: no slot became free in time.
        """
        return _Slot(self, key, seconds)

    def acquire(self, key: Hashable, seconds: float) -> None:
        """Wait for a slot: see `slot`."""
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            if queue.active < self._limit:
                queue.active += 1
                return
            turn = Waiter[bool]()
            queue.waiting.append(turn)
        try:
            turn.wait(seconds)
        finally:
            with self._lock:
                if not turn.outcome:
                    queue.waiting.remove(turn)
        if not turn.outcome:
            raise TooManyConcurrentRequests

    def release(self, key: Hashable) -> None:
        """Give a slot to the request that has waited longest."""
        with self._lock:
            queue = self._queues[key]
            if queue.waiting:
                queue.waiting.popleft().set(True)
                return
            queue.active -= 1
            if not queue.active:
                del self._queues[key]


class _Slot(AbstractContextManager[None]):
    """Not a generator: that would cost each request another microsecond."""

    __slots__ = ("_key", "_seconds", "_slots")

    def __init__(self, slots: Slots, key: Hashable, seconds: float) -> None:
        self._slots, self._key, self._seconds = slots, key, seconds

    def __enter__(self) -> None:
        self._slots.acquire(self._key, self._seconds)

    def __exit__(self, *_: object) -> None:
        self._slots.release(self._key)


class ConcurrencyLimits:
    """The limits of a worker on the connections of one workspace or network.

    The writes to a workspace use a quarter of them; its row's lock serializes them anyway. Requests
    of a network without a token use three quarters. `http.admission` limits the reads of accounts.
    """

    def __init__(self, connections: int, seconds: float) -> None:
        self._seconds = seconds
        self._networks = Slots(max(1, connections * 3 // 4))
        self._writes = Slots(max(1, connections // 4))

    def slot(self, share: Share | None, *, writes: bool) -> AbstractContextManager[None]:
        """A slot for a connection, which is held in the block. Without a share there is no limit.

        Raises:
            TooManyConcurrentRequests: no slot became free in time.
        """
        if share is None:
            return _UNLIMITED
        if share.writes_to is None:
            return self._networks.slot(share.key, self._seconds)
        return self._writes.slot(share.writes_to, self._seconds) if writes else _UNLIMITED
