"""Misbehaving clients: they disconnect, stop sending, or read slowly.

`at_work` runs them in a separate process, at whose end all of them disconnect.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from support import programs
from support.rawhttp import LARGEST, Person, create, request

_EACH = 4
_PATIENCE = 20.0
_PAUSE = 0.1
_SIP = 2_048
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing discards unsent data and sends a reset."""

_Way = Callable[["_Visit"], Awaitable[None]]
WAYS: dict[str, _Way] = {}
"""The behaviours by name."""


def _way(name: str) -> Callable[[_Way], _Way]:
    def keep(way: _Way) -> _Way:
        WAYS[name] = way
        return way

    return keep


class _Visit:
    """One connection of a user with few tasks or of one with a large list."""

    def __init__(self, connection: socket.socket, person: Person, collector: Person) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self.a_write = create(person, title="Perhaps")
        self.a_large_read = request("GET", LARGEST, collector.token)

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    async def read(self, size: int = 65_536) -> bytes:
        return await self._loop.sock_recv(self._socket, size)

    def send_no_more(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    async def until_closed(self) -> None:
        while await self.read():
            pass


@_way("left in the head")
async def _leaves_in_the_head(visit: _Visit) -> None:
    await visit.send(visit.a_write[: random.randrange(1, 60)])


@_way("left in the body")
async def _leaves_in_the_body(visit: _Visit) -> None:
    await visit.send(visit.a_write[: -random.randrange(1, 30)])


@_way("left before the answer")
async def _leaves_before_the_answer(visit: _Visit) -> None:
    await visit.send(visit.a_write)
    await asyncio.sleep(random.choice([0, 0.002, 0.02]))


@_way("left in the answer")
async def _leaves_in_the_answer(visit: _Visit) -> None:
    await visit.send(visit.a_large_read)
    await visit.read(_SIP)


@_way("sent two and left")
async def _leaves_after_two(visit: _Visit) -> None:
    await visit.send(visit.a_write + visit.a_large_read)
    await visit.read(_SIP)


@_way("half-closed")
async def _closes_its_half(visit: _Visit) -> None:
    await visit.send(random.choice([visit.a_write, visit.a_write[:50], visit.a_write[:-5]]))
    visit.send_no_more()
    await visit.until_closed()


@_way("silent in the head")
async def _falls_silent_in_the_head(visit: _Visit) -> None:
    await visit.send(visit.a_write[:40])
    await visit.until_closed()


@_way("silent in the body")
async def _falls_silent_in_the_body(visit: _Visit) -> None:
    await visit.send(visit.a_write[:-5])
    await visit.until_closed()


@_way("read slowly")
async def _reads_slowly(visit: _Visit) -> None:
    await visit.send(visit.a_large_read)
    for _ in range(100):
        await visit.read(_SIP)
        await asyncio.sleep(0.05)


@_way("read nothing")
async def _reads_nothing(visit: _Visit) -> None:
    await visit.send(visit.a_large_read)
    await asyncio.sleep(2 * _PATIENCE)


class _Rude:
    def __init__(self, port: int, people: list[Person], collector: Person) -> None:
        self._address = ("127.0.0.1", port)
        self._people = people
        self._collector = collector
        self.visits: Counter[str] = Counter()

    async def come_again(self, name: str, way: _Way) -> None:
        while True:
            self.visits[name] += 1
            with suppress(OSError):
                await self._come(way)
            await asyncio.sleep(random.random() * _PAUSE)

    async def _come(self, way: _Way) -> None:
        with socket.socket() as connection:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SIP)
            if random.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            await asyncio.get_running_loop().sock_connect(connection, self._address)
            await way(_Visit(connection, random.choice(self._people), self._collector))


async def _work(
    port: int, seconds: float, people: list[list[Any]], collector: list[Any]
) -> dict[str, int]:
    rude = _Rude(port, [Person(*one) for one in people], Person(*collector))
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(
                *(rude.come_again(*way) for way in WAYS.items() for _ in range(_EACH))
            )
    return dict(rude.visits)


@contextmanager
def at_work(
    port: int, people: list[Person], collector: Person, *, seconds: float
) -> Iterator[Callable[[], dict[str, int]]]:
    """Run these clients. The value is a function that waits for their end and returns their counts.

    Args:
        collector: the user with the large list.
    """
    plan = {"port": port, "seconds": seconds, "people": people, "collector": collector}
    with programs.running(__name__, plan, seconds + _PATIENCE) as result:
        yield result


if __name__ == "__main__":
    programs.run(lambda **plan: asyncio.run(_work(**plan)))
