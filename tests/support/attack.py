"""Clients of an attacker: many connections that send requests as fast as they are answered.

Run as a program (`running` starts it), so that neither its CPU time nor the test's is the other's.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from support import programs
from support.crowd import allow_many_files

UNIQUE = "unique-00000000"
"""Replaced in each request by a value that no other request has, of the same length."""

CLOSED = 0
"""In place of a status: the connection was closed or broke before a response."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_LIMIT = 2**16
_SIP_BYTES = 2_048
_PATIENCE = 60.0
_SHOWN, _SAMPLE_BYTES = 3, 4_000


@dataclass
class Attack:
    """What the attacker sends.

    Args:
        requests: whole requests; each connection sends them in turn, from a different one on.
        connections: how many are open at a time.
        seconds: the duration.
        reads: whether responses are read; otherwise the client sends and never reads.
        read_pause: seconds between two reads of 2 KiB; 0 reads as fast as possible.
        body_pause: seconds between two bytes of the last ten of a request.
        address: the client's own address.
    """

    requests: Sequence[bytes]
    connections: int
    seconds: float
    reads: bool = True
    read_pause: float = 0.0
    body_pause: float = 0.0
    address: str = "127.0.0.1"


@dataclass
class Responses:
    """What the attacker received.

    Args:
        statuses: how many responses had each status; `CLOSED` counts those without one.
        samples: the beginning of some responses with each status.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    samples: dict[int, list[str]] = field(default_factory=dict)

    def add(self, status: int, text: bytes) -> None:
        self.statuses[status] += 1
        shown = self.samples.setdefault(status, [])
        if text and len(shown) < _SHOWN:
            shown.append(text[:_SAMPLE_BYTES].decode(errors="replace"))

    def __str__(self) -> str:
        return ", ".join(f"{n:,} x {s or 'closed'}" for s, n in sorted(self.statuses.items()))


class _Attacker:
    def __init__(self, port: int, attack: Attack) -> None:
        self._port = port
        self._attack = attack
        self._numbers = count()
        self.responses = Responses()

    async def send_again_and_again(self, start: int) -> None:
        await asyncio.sleep(start % 100 / 500)  # not all in the same millisecond
        turns = count(start)
        while True:
            connection = socket.socket()
            connection.setblocking(False)
            if self._attack.read_pause or not self._attack.reads:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SIP_BYTES)
            connection.bind((self._attack.address, 0))
            try:
                await self._use(connection, turns)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                self.responses.add(CLOSED, repr(error).encode())
            finally:
                connection.close()
            await asyncio.sleep(0.05)

    async def _use(self, connection: socket.socket, turns: Iterator[int]) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", self._port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=_LIMIT)
        try:
            while await self._exchange(reader, writer, next(turns)):
                pass
        finally:
            writer.transport.abort()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: int
    ) -> bool:
        request = self._attack.requests[turn % len(self._attack.requests)]
        unique = f"unique-{next(self._numbers):08}"
        request = request.replace(UNIQUE.encode(), unique.encode())
        await self._write(writer, request)
        if not self._attack.reads:
            await asyncio.sleep(_PATIENCE)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        size = int(length[1]) if length and not request.startswith(b"HEAD ") else 0
        begin = b""
        while size:
            data = await reader.read(min(size, _SIP_BYTES if self._attack.read_pause else _LIMIT))
            if not data:
                raise ConnectionError("the response is incomplete")
            begin, size = begin or data, size - len(data)
            if self._attack.read_pause:
                await asyncio.sleep(self._attack.read_pause)
        self.responses.add(int(head[9:12]), begin)
        return not _CLOSES.search(head)

    async def _write(self, writer: asyncio.StreamWriter, request: bytes) -> None:
        if not self._attack.body_pause:
            writer.write(request)
            return
        writer.write(request[:-10])
        for byte in request[-10:]:
            await asyncio.sleep(self._attack.body_pause)
            writer.write(bytes([byte]))


async def _run(port: int, requests: list[str], **options: Any) -> Responses:
    attack = Attack([request.encode("latin-1") for request in requests], **options)
    attacker = _Attacker(port, attack)
    step = max(1, len(requests) // attack.connections)
    with suppress(TimeoutError):
        async with asyncio.timeout(attack.seconds):
            await asyncio.gather(
                *(attacker.send_again_and_again(step * n) for n in range(attack.connections))
            )
    return attacker.responses


@contextmanager
def running(port: int, attack: Attack) -> Iterator[Callable[[], Responses]]:
    """The attack at work; what is called to wait for its end and get what it received."""
    requests = [request.decode("latin-1") for request in attack.requests]
    plan = {**asdict(attack), "port": port, "requests": requests}
    with programs.running(__name__, plan, attack.seconds + _PATIENCE) as result:

        def responses() -> Responses:
            found = result()
            return Responses(
                Counter({int(status): number for status, number in found["statuses"].items()}),
                {int(status): shown for status, shown in found["samples"].items()},
            )

        yield responses


def is_problem(text: str) -> bool:
    """Whether a sample is the beginning of a problem document."""
    return json.dumps("status") in text and json.dumps("code") in text


if __name__ == "__main__":
    allow_many_files()
    programs.run(lambda **plan: vars(asyncio.run(_run(**plan))))
