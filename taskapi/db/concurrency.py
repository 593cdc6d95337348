"""Limits on the connections that one caller uses at a time, so that some are free for others.

A request that exceeds them waits in its caller's queue, before it takes a connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import NamedTuple

from taskapi.problems import RateLimited


class TooManyConcurrentRequests(RateLimited):
    """The caller has too many requests in progress."""

    code = "too_many_concurrent_requests"
    detail = "Too many of your requests are in progress. Send fewer at a time."
    headers = {"Retry-After": "1"}


class Share(NamedTuple):
    """The keys of the limits that a request counts towards. Equal keys share a limit."""

    network: Hashable | None
    """Of a request without a verified session; None of any other."""

    writes: Hashable
    """The workspace."""

    is_congested: Callable[[], bool]
    """Whether too much of the caller's responses is still to be sent."""


class _Turn:
    """A request that waits for a slot."""

    has_come = False

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()

    def give(self) -> None:
        self.has_come = True
        self._lock.release()

    def wait(self, seconds: float) -> None:
        self._lock.acquire(timeout=seconds)


class _Queue:
    def __init__(self) -> None:
        self.active = 0
        self.waiting: deque[_Turn] = deque()


class Slots:
    """Limits how many requests hold a slot of each key. Others wait in the order of arrival."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._queues: dict[Hashable, _Queue] = {}

    @contextmanager
    def slot(self, key: Hashable, seconds: float) -> Iterator[None]:
        """Hold a slot of the key.

        Args:
            seconds: the longest wait.

        Raises:
            TooManyConcurrentRequests: no slot became free in time.
        """
        self._acquire(key, seconds)
        try:
            yield
        finally:
            self._release(key)

    def _acquire(self, key: Hashable, seconds: float) -> None:
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            if queue.active < self._limit:
                queue.active += 1
                return
            turn = _Turn()
            queue.waiting.append(turn)
        try:
            turn.wait(seconds)
        finally:
            with self._lock:
                if not turn.has_come:
                    queue.waiting.remove(turn)
        if not turn.has_come:
            raise TooManyConcurrentRequests

    def _release(self, key: Hashable) -> None:
        with self._lock:
            queue = self._queues[key]
            if queue.waiting:
                queue.waiting.popleft().give()
                return
            queue.active -= 1
            if not queue.active:
                del self._queues[key]


class ConcurrencyLimits:
    """The limits of a worker on the connections of one workspace or network.

    The writes to a workspace use a quarter of them; its row's lock serializes them anyway. Requests
    of a network without a verified session use three quarters. `http.admission` limits the reads of
    an account.
    """

    def __init__(self, connections: int, seconds: float) -> None:
        self._seconds = seconds
        self._networks = Slots(max(1, connections * 3 // 4))
        self._writes = Slots(max(1, connections // 4))

    @contextmanager
    def slot(self, share: Share | None, *, writes: bool) -> Iterator[None]:
        """Hold a slot for a connection. Without a share there is no limit.

        Raises:
            TooManyConcurrentRequests: no slot became free in time.
        """
        if share is None:
            yield
            return
        with self._slot_of(share, writes=writes):
            if share.is_congested():
                raise TooManyConcurrentRequests
            yield

    def _slot_of(self, share: Share, *, writes: bool) -> AbstractContextManager[None]:
        if share.network is not None:
            return self._networks.slot(share.network, self._seconds)
        return self._writes.slot(share.writes, self._seconds) if writes else nullcontext()
