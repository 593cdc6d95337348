"""A limit on the time of what a greenlet waits for."""

from __future__ import annotations

from gevent import get_hub, getcurrent


class TimeLimit:
    """Raises an error in the current greenlet, unless it is stopped or its block ends in time.

    `gevent.Timeout` does the same and costs 1.4 µs more; a request starts four of them.

    Args:
        seconds: the limit.
        error: the class of the error.
    """

    __slots__ = ("_timer",)

    def __init__(self, seconds: float, error: type[BaseException]) -> None:
        self._timer = get_hub().loop.timer(seconds)
        self._timer.start(getcurrent().throw, error)

    def stop(self) -> None:
        self._timer.close()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._timer.close()
