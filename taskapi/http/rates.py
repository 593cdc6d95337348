"""Rates of what happens in a worker."""

from __future__ import annotations

from math import inf
from time import monotonic

_MAX_REMEMBERED = 10_000


class Rate:
    """The rate of each key's events, by the generic cell rate algorithm (ITU-T I.371)."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def seconds_early(self, key: str, interval: float, most: float = inf) -> float:
        """How much too early the next event comes. It counts unless that is more than `most`.

        Args:
            interval: the seconds that the event takes up; 0 to ask only.
        """
        now = monotonic()
        due = max(self._next.get(key, now), now)
        if due - now <= most:
            if len(self._next) >= _MAX_REMEMBERED:
                self._next = {key: time for key, time in self._next.items() if time > now}
            self._next[key] = due + interval
        return due - now
