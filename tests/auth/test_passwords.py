"""The queue in front of the hashing thread: order, size and rejection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest

from taskapi.auth import passwords
from taskapi.auth.passwords import Hasher, TooBusy

_MAX_WAIT = 0.2


class _Queue:
    """A hasher whose thread is blocked until `unblock` is set, and its clients."""

    def __init__(self, clients: ThreadPoolExecutor) -> None:
        self.hasher = Hasher()
        self.unblock = Event()
        self.finished: list[int] = []
        self._clients = clients
        self._numbers = count()

    def join(self) -> Future[None]:
        """Add a client and return once it waits."""
        number = next(self._numbers)
        client = self._clients.submit(self.hasher.run, lambda: self._work(number))
        while self.hasher.waiting <= number and not client.done():
            time.sleep(0.001)
        time.sleep(0.01)  # from the counter to the lock
        return client

    def _work(self, number: int) -> None:
        assert self.unblock.wait(20)
        self.finished.append(number)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Queue]:
    monkeypatch.setattr(passwords, "_MAX_WAIT", _MAX_WAIT)
    with ThreadPoolExecutor(20) as clients:
        found = _Queue(clients)
        try:
            yield found
        finally:
            found.unblock.set()


def test_passwords_are_hashed_in_order_of_arrival(queue: _Queue) -> None:
    clients = [queue.join() for _ in range(5)]
    queue.unblock.set()
    for client in clients:
        client.result(20)
    assert queue.finished == [0, 1, 2, 3, 4]
    assert queue.hasher.hashes == 5
    assert queue.hasher.waiting == 0


def test_four_clients_are_never_rejected_however_long_a_hash_takes(queue: _Queue) -> None:
    clients = [queue.join() for _ in range(4)]
    time.sleep(3 * _MAX_WAIT)
    queue.unblock.set()
    for client in clients:
        client.result(20)


def test_a_full_queue_rejects_after_a_wait(queue: _Queue) -> None:
    accepted = [queue.join() for _ in range(6)]
    started = time.monotonic()
    with pytest.raises(TooBusy):
        queue.join().result(20)
    assert time.monotonic() - started >= _MAX_WAIT
    queue.unblock.set()
    for client in accepted:
        client.result(20)
    assert sorted(queue.finished) == [0, 1, 2, 3, 4, 5]


def test_whoever_finds_the_queue_full_takes_the_next_free_place(queue: _Queue) -> None:
    clients = [queue.join() for _ in range(7)]
    queue.unblock.set()
    for client in clients:
        client.result(20)
    assert sorted(queue.finished) == list(range(7))


def test_failed_work_frees_its_place(queue: _Queue) -> None:
    for _ in range(7):
        with pytest.raises(ZeroDivisionError):
            queue.hasher.run(lambda: 1 / 0)
    assert queue.hasher.waiting == 0
