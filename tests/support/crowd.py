"""Clients with persistent connections that send requests without pause.

`at_work` runs them in a separate process, so that they and the test do not share CPU time.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import socket
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter, process_time
from typing import Any, NamedTuple

from support import programs
from support.rawhttp import Mix, Person

_PATIENCE = 60.0
_WAVE_SECONDS = 2.0
_SHOWN = 5
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Times(NamedTuple):
    """The response times in milliseconds."""

    p50: float
    p95: float
    p99: float
    slowest: float

    @classmethod
    def of(cls, seconds: array[float]) -> Times:
        ordered = sorted(seconds)
        places = [len(ordered) * share // 100 for share in (50, 95, 99)]
        p50, p95, p99 = (round(1000 * ordered[place], 1) for place in places)
        return cls(p50, p95, p99, 1000 * ordered[-1])

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f}, p95 {self.p95:.0f}, slowest {self.slowest:.0f} ms"


@dataclass
class Heard:
    """The results of the clients.

    Args:
        seconds: the duration.
        own_share: the CPU utilization of the clients.
        statuses: the number of responses by kind of request and status.
        times: the values of `Times`.
        created: the tasks whose creation was acknowledged.
        lost: the number of requests without a response by reason.
        malformed: some of the invalid responses.
    """

    seconds: float
    own_share: float
    statuses: dict[str, dict[str, int]]
    times: list[float]
    created: list[int]
    lost: dict[str, int]
    malformed: list[str]

    def all_statuses(self) -> Counter[int]:
        """The number of responses by status."""
        found: Counter[int] = Counter()
        for statuses in self.statuses.values():
            found.update({int(status): number for status, number in statuses.items()})
        return found

    def __str__(self) -> str:
        answers = self.all_statuses().total()
        return f"{answers:,} answers, {answers / self.seconds:,.0f} a second"


@dataclass
class _Tally:
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: array[float] = field(default_factory=lambda: array("f"))
    created: list[int] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    malformed: list[str] = field(default_factory=list)

    def add(self, kind: str, seconds: float, head: bytes, body: bytes) -> None:
        status = int(head[9:12])
        self.statuses[kind][status] += 1
        self.seconds.append(seconds)
        if status == 201:
            self.created.append(json.loads(body)["id"])
        elif status >= 400 and not _is_problem(status, head, body) and len(self.malformed) < _SHOWN:
            self.malformed.append(f"{kind}: {(head + body)[:500]!r}")


def _is_problem(status: int, head: bytes, body: bytes) -> bool:
    """Whether this is a valid error, with Retry-After if it is a 503."""
    try:
        is_told = json.loads(body)["status"] == status
    except (ValueError, KeyError):
        return False
    is_typed = b"\r\nContent-Type: application/problem+json\r\n" in head + b"\r\n"
    return is_told and is_typed and (status != 503 or b"\r\nRetry-After: " in head)


class _Client(asyncio.Protocol):
    """A client with one request at a time. It reconnects if the server closes the connection."""

    def __init__(
        self,
        address: tuple[str, int],
        tally: _Tally,
        mix: Mix,
        may_ask: Callable[[], bool],
        pause: float = 0.0,
    ) -> None:
        self._address = address
        self._is_closing = False
        self._pause = pause
        self._tally = tally
        self._mix = mix
        self._may_ask = may_ask
        self.is_done = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, separator, body = self._got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not separator or len(body) < int(length[1] if length else 0):
            return
        self._tally.add(self._kind, perf_counter() - self._sent, head, body)
        if b"\r\nConnection: close" in head:
            self._is_closing = True
            self._transport.close()
            return
        if not self._pause:
            self._continue()
        else:
            asyncio.get_running_loop().call_later(self._pause, self._continue)

    def _continue(self) -> None:
        if self._may_ask():
            self._ask()
        else:
            self.is_done.set()
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._is_closing and self._may_ask():
            self._is_closing = False
            loop = asyncio.get_running_loop()
            self._again = loop.create_task(loop.create_connection(lambda: self, *self._address))
            return
        if self._is_closing:
            self.is_done.set()
        if not self.is_done.is_set():
            self._tally.lost[type(error).__name__ if error else "closed without an answer"] += 1
            self.is_done.set()

    def give_up(self) -> None:
        if not self.is_done.is_set():
            self._tally.lost["no answer in time"] += 1
            self.is_done.set()
            self._transport.abort()

    def _ask(self) -> None:
        self._got = b""
        self._kind, request = self._mix.next()
        self._sent = perf_counter()
        self._transport.write(request)


class _Crowd:
    def __init__(self, port: int, seconds: float, mix: Mix, pause: float) -> None:
        self._pause = pause
        self._address = ("127.0.0.1", port)
        self._mix = mix
        self._until = perf_counter() + seconds
        self.tally = _Tally()

    async def stay(self, clients: int) -> None:
        """Let this number of clients send requests until the time is over."""
        await self._come(clients, lambda: perf_counter() < self._until)

    async def keep_coming(self, newcomers: int) -> None:
        """Repeatedly let this number of clients connect concurrently and send one request each."""
        while newcomers and perf_counter() + _WAVE_SECONDS < self._until:
            await asyncio.sleep(_WAVE_SECONDS)
            await self._come(newcomers, lambda: False)

    async def _come(self, clients: int, may_ask: Callable[[], bool]) -> None:
        sockets = [socket.socket() for _ in range(clients)]
        for one in sockets:
            one.setblocking(False)
            one.connect_ex(self._address)
        loop = asyncio.get_running_loop()
        came = [
            (await loop.create_connection(self._client(may_ask), sock=one))[1] for one in sockets
        ]
        done = [client.is_done.wait() for client in came]
        left = max(0.0, self._until - perf_counter()) if may_ask() else 0.0
        try:
            await asyncio.wait_for(asyncio.gather(*done), left + _PATIENCE)
        except TimeoutError:
            for client in came:
                client.give_up()

    def _client(self, may_ask: Callable[[], bool]) -> Callable[[], _Client]:
        return lambda: _Client(self._address, self.tally, self._mix, may_ask, self._pause)


async def _work(
    port: int,
    seconds: float,
    people: list[list[Any]],
    clients: int,
    newcomers: int,
    weights: dict[str, int],
    pause: float,
) -> Heard:
    crowd = _Crowd(port, seconds, Mix([Person(*one) for one in people], weights), pause)
    started = perf_counter()
    await asyncio.gather(crowd.stay(clients), crowd.keep_coming(newcomers))
    took, tally = perf_counter() - started, crowd.tally
    return Heard(
        seconds=took,
        own_share=process_time() / took,
        statuses={
            kind: {str(status): number for status, number in statuses.items()}
            for kind, statuses in tally.statuses.items()
        },
        times=list(Times.of(tally.seconds)),
        created=tally.created,
        lost=dict(tally.lost),
        malformed=tally.malformed,
    )


def allow_many_files() -> None:
    """Raise the limit of open files for this process and its children."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def at_work(
    port: int,
    people: list[Person],
    *,
    seconds: float,
    clients: int,
    weights: dict[str, int],
    newcomers: int = 0,
    pause: float = 0.0,
) -> Iterator[Callable[[], Heard]]:
    """Run the clients. The value is a function that waits for their end and returns the results.

    Args:
        clients: the number of clients with a persistent connection.
        newcomers: the number of clients that connect every other second and send one request.
        weights: the relative frequency of each kind of request.
        pause: seconds between a response and the client's next request.
    """
    plan = {
        "port": port,
        "seconds": seconds,
        "people": people,
        "clients": clients,
        "newcomers": newcomers,
        "weights": weights,
        "pause": pause,
    }
    with programs.running(__name__, plan, seconds + 3 * _PATIENCE) as result:
        yield lambda: Heard(**result())


if __name__ == "__main__":
    allow_many_files()
    programs.run(lambda **plan: asdict(asyncio.run(_work(**plan))))
