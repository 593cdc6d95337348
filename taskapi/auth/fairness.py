"""A queue in which one client works at a time, and networks take turns."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import NamedTuple

from taskapi.problems import Unavailable

PLACES = 5
"""Clients of one network that may wait for longer than `PLACE_SECONDS`."""

PLACE_SECONDS = 2.0
"""How long a client without a place waits before its 503."""

LONGEST_SECONDS = 8.0
"""How long a client with a place waits for its turn after that."""


class TooBusy(Unavailable):
    """The queue of logins was full for too long."""

    detail = "Too many users are logging in. Retry in a few seconds."
    headers = {"Retry-After": "2"}


class Group(NamedTuple):
    """The clients that wait in one line: a network's, in one of two lanes."""

    network: str
    is_known: bool
    """Whether the account knows the client: a session, or a device that had one."""


class FairQueue:
    """Serves one client at a time; lanes take turns, in each lane networks, then their clients.

    A client whose network has many others before it gets a 503 only after a while, because clients
    that retry without a pause would otherwise keep the server busy with 503s alone.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_busy = False
        self._lanes: dict[bool, OrderedDict[str, deque[Event]]] = {
            is_known: OrderedDict() for is_known in (True, False)
        }
        self._next_lane = True

    @contextmanager
    def turn(self, group: Group) -> Iterator[None]:
        """Wait for the turn of a client, and hold it.

        Raises:
            TooBusy: it did not come in time.
        """
        self._acquire(group)
        try:
            yield
        finally:
            self._release()

    def _acquire(self, group: Group) -> None:
        with self._lock:
            if not self._is_busy:
                self._is_busy = True
                return
            turn = Event()
            self._lanes[group.is_known].setdefault(group.network, deque()).append(turn)
        if turn.wait(PLACE_SECONDS) or (
            self._has_place(group, turn) and turn.wait(LONGEST_SECONDS)
        ):
            return
        with self._lock:
            if turn.is_set():  # it came at the last moment
                return
            lane = self._lanes[group.is_known]
            lane[group.network].remove(turn)
            if not lane[group.network]:
                del lane[group.network]
        raise TooBusy

    def _has_place(self, group: Group, turn: Event) -> bool:
        with self._lock:
            waiting = self._lanes[group.is_known].get(group.network, deque())
            return turn.is_set() or (turn in waiting and waiting.index(turn) < PLACES)

    def _release(self) -> None:
        with self._lock:
            for is_known in (self._next_lane, not self._next_lane):
                lane = self._lanes[is_known]
                if lane:
                    network, waiting = lane.popitem(last=False)
                    waiting.popleft().set()
                    if waiting:
                        lane[network] = waiting
                    self._next_lane = not is_known
                    return
            self._is_busy = False
