"""The queue in front of the hashing thread: turns of networks and devices, and rejection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from taskapi.auth import fairness
from taskapi.auth.fairness import Group, TooBusy
from taskapi.auth.passwords import Hasher

_PLACE_SECONDS = 0.2
_HERE = Group("192.0.2.1", is_known=False)
_THERE = Group("192.0.2.2", is_known=False)
_DEVICE = Group("192.0.2.3", is_known=True)


class _Queue:
    """A hasher whose thread is blocked until `unblock` is set, and its clients."""

    def __init__(self, clients: ThreadPoolExecutor) -> None:
        self.hasher = Hasher()
        self.unblock = Event()
        self.finished: list[int] = []
        self._clients = clients
        self._numbers = count()

    def join(self, group: Group = _HERE) -> Future[None]:
        """Add a client and return once it waits."""
        number, has_begun = next(self._numbers), Event()

        def begin() -> None:
            has_begun.set()
            self.hasher.run(lambda: self._work(number), group)

        client = self._clients.submit(begin)
        assert has_begun.wait(20)
        time.sleep(0.01)  # from here to the queue
        return client

    def _work(self, number: int) -> None:
        assert self.unblock.wait(20)
        self.finished.append(number)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Queue]:
    monkeypatch.setattr(fairness, "PLACE_SECONDS", _PLACE_SECONDS)
    with ThreadPoolExecutor(40) as clients:
        found = _Queue(clients)
        try:
            yield found
        finally:
            found.unblock.set()


def _finish(queue: _Queue, clients: list[Future[None]]) -> list[int]:
    queue.unblock.set()
    for client in clients:
        client.result(20)
    return queue.finished


def test_passwords_of_one_network_are_hashed_in_order_of_arrival(queue: _Queue) -> None:
    clients = [queue.join() for _ in range(5)]
    assert _finish(queue, clients) == [0, 1, 2, 3, 4]
    assert queue.hasher.hashes == 5
    assert queue.hasher.waiting == 0


def test_networks_take_turns(queue: _Queue) -> None:
    clients = [queue.join(group) for group in [_HERE] * 4 + [_THERE] * 2]
    assert _finish(queue, clients) == [0, 1, 4, 2, 5, 3]


def test_known_devices_have_a_queue_of_their_own(queue: _Queue) -> None:
    strangers = [Group(f"198.51.100.{n}", is_known=False) for n in range(10)]
    clients = [queue.join(group) for group in [*strangers, _DEVICE]]
    assert _finish(queue, clients)[:3] == [0, 10, 1]


def test_a_network_that_fills_the_queue_does_not_stop_another(queue: _Queue) -> None:
    crowd = [queue.join() for _ in range(20)]
    time.sleep(2 * _PLACE_SECONDS)
    other = queue.join(_THERE)
    queue.unblock.set()
    other.result(20)
    rejected = [client for client in crowd if isinstance(client.exception(20), TooBusy)]
    assert len(rejected) == 20 - 1 - fairness.PLACES


def test_four_clients_are_never_rejected_however_long_a_hash_takes(queue: _Queue) -> None:
    clients = [queue.join() for _ in range(4)]
    time.sleep(3 * _PLACE_SECONDS)
    assert len(_finish(queue, clients)) == 4


def test_a_turn_that_does_not_come_is_given_up(
    queue: _Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fairness, "LONGEST_SECONDS", 0.1)
    first, second = queue.join(), queue.join()
    with pytest.raises(TooBusy):
        second.result(20)
    assert _finish(queue, [first, queue.join()]) == [0, 2]


def test_a_full_queue_rejects_after_a_wait(queue: _Queue) -> None:
    accepted = [queue.join() for _ in range(6)]
    started = time.monotonic()
    with pytest.raises(TooBusy):
        queue.join().result(20)
    assert time.monotonic() - started >= _PLACE_SECONDS
    assert sorted(_finish(queue, accepted)) == [0, 1, 2, 3, 4, 5]


def test_whoever_finds_the_queue_full_takes_the_next_free_place(queue: _Queue) -> None:
    clients = [queue.join() for _ in range(7)]
    assert sorted(_finish(queue, clients)) == list(range(7))


def test_failed_work_frees_its_place(queue: _Queue) -> None:
    for _ in range(7):
        with pytest.raises(ZeroDivisionError):
            queue.hasher.run(lambda: 1 / 0, _HERE)
    assert queue.hasher.waiting == 0
