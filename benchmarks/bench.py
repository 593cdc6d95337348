"""Measures workloads on peers that alternate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.beside import idle_connections, logins
from benchmarks.databases import Cluster
from benchmarks.load import load
from benchmarks.machine import round_trip
from benchmarks.people import World
from benchmarks.results import FAR, GROWTH, NEAR, Row
from benchmarks.servers import FLOOR, OTHER, SERVICE, Peer, Server
from benchmarks.usage import Meter
from benchmarks.workloads import CONNECTIONS, Workload

DELAY = 0.005
"""The seconds that delay each response of the database in the scene FAR."""

GROWTH_REQUESTS = 100_000
_WARM_SHARE = 0.2
_GROWTH_STEPS = 4


class Bench:
    """The common state of all measurements of a run.

    Args:
        folder: the directory for logs and sockets.
        peers: the servers, in the order of their turns.
        worlds: the small and the large database, by `Workload.on_large`.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, peers: Sequence[Peer], worlds: dict[bool, World]
    ) -> None:
        self._cluster = cluster
        self._folder = folder
        self._peers = peers
        self._worlds = worlds

    def scene(
        self, name: str, workloads: Sequence[Workload], seconds: int, *, reverse: bool
    ) -> Iterator[Row]:
        """Measure each workload on each peer. The peers alternate and start with fresh data."""
        with ExitStack() as stack:
            trees, socket_folder, added = {"database": self._cluster.pid}, None, 0.0
            if name == FAR:
                socket_folder = self._folder / FAR
                delaying = servers.delaying(self._cluster, socket_folder, DELAY)
                trees["proxy"] = stack.enter_context(delaying)
                urls = [self._cluster.url_of("postgres", way) for way in (socket_folder, None)]
                far, near = map(round_trip, urls)
                added = far - near
            running = {
                (peer.name, on_large): stack.enter_context(
                    self._serving(peer, socket_folder, on_large=on_large)
                )
                for peer in self._peers
                for on_large in {workload.on_large for workload in workloads}
            }
            stack.callback(_end_together, running.values())
            for server in running.values():
                server.until_ready()
            self._see_that_they_agree(running)
            for workload in workloads:
                for peer in self._peers[::-1] if reverse else self._peers:
                    if workload.has_floor or peer.name != FLOOR:
                        server = running[peer.name, workload.on_large]
                        row = self._measured(server, workload, seconds, trees)
                        place = {"scene": name, "workload": workload.name, "peer": peer.name}
                        yield {**place, "title": workload.title, "added_ms": added, **row}

    def growth(self, mix: Workload, requests: int, seconds: int) -> Iterator[Row]:
        """The memory of a worker after the first requests, and after many more."""
        peer = next(peer for peer in self._peers if peer.name == SERVICE)
        world = self._worlds[False]
        with self._serving(peer, None, on_large=False) as server:
            server.until_ready()
            sent = errors = 0
            goals = [requests * step // _GROWTH_STEPS for step in range(_GROWTH_STEPS + 1)]
            warm = int(requests * _WARM_SHARE)
            for goal in goals:
                while sent < goal + warm:
                    sending = mix.requests(server, world)
                    result = load(
                        server.port, sending, connections=CONNECTIONS, seconds=max(1, seconds // 4)
                    )
                    sent, errors = sent + result.requests, errors + result.errors
                rss, pss = server.memory()
                yield {
                    "scene": NEAR,
                    "workload": GROWTH,
                    "peer": peer.name,
                    "step": goal,
                    "requests": sent - warm,
                    "rss": rss,
                    "pss": pss,
                    "errors": errors,
                }

    def _serving(
        self, peer: Peer, socket_folder: Path | None, *, on_large: bool
    ) -> AbstractContextManager[Server]:
        name = self._worlds[on_large].database
        if not on_large:  # the large database is only read
            name, template = f"{peer.name}_{socket_folder.name if socket_folder else NEAR}", name
            self._cluster.create(name, template)
        return servers.serving(peer, self._cluster.url_of(name, socket_folder), self._folder)

    def _see_that_they_agree(self, running: dict[tuple[str, bool], Server]) -> None:
        """Check that the peers return the same responses.

        Tasks of another checkout may have other fields. Only common fields are compared.
        """
        for on_large in {on_large for _, on_large in running}:
            one = self._worlds[on_large].readers[0]
            for path in (f"/tasks/{one.task_ids[-1]}", "/tasks?limit=20"):
                answers = {}
                for (name, large), server in running.items():
                    if large == on_large:
                        response, body = server.call("GET", path, one.token)
                        body.pop("next_cursor", None)  # opaque and different for each peer
                        answers[name] = response.status, body, response.headers["ETag"]
                first = next(iter(answers.values()))
                exact = {name: answer for name, answer in answers.items() if name != OTHER}
                if (
                    first[0] != 200
                    or any(answer != first for answer in exact.values())
                    or not all(_agrees(answer, first) for answer in answers.values())
                ):
                    raise RuntimeError(f"GET {path} is answered differently: {answers}")

    def _measured(
        self, server: Server, workload: Workload, seconds: int, trees: dict[str, int]
    ) -> Row:
        world = self._worlds[workload.on_large]
        requests = workload.requests(server, world)
        _see_one(server, workload, requests[0])
        if seconds > 4:
            load(server.port, requests, connections=workload.connections, seconds=1)
        if workload.connections < CONNECTIONS:
            seconds = max(1, seconds // 2)
        with _beside(server, workload, world, seconds) as found:
            meter = Meter(server=server.pid, **trees, **found.pop("trees", {}))
            result = load(server.port, requests, connections=workload.connections, seconds=seconds)
            used = meter.read()
        rss, pss = server.memory()
        each = 1e6 / max(result.requests, 1)
        return {
            **result._asdict(),
            "errors": result.errors + found.get("lost", 0),
            "rate": result.requests / result.seconds,
            "rss": rss,
            "pss": pss,
            **{
                f"{name}_us": used.get(name, 0.0) * each for name in ("server", "database", "proxy")
            },
            "elsewhere": used["elsewhere"] / result.seconds,
            **found,
        }


def _end_together(running: Iterable[Server]) -> None:
    """Signal all servers before waiting for them, which saves seconds."""
    for server in running:
        server.process.terminate()


def _agrees(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal in all common fields."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_agrees(one[name], other[name]) for name in one.keys() & other.keys())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_agrees, one, other))
    return bool(one == other)


def _see_one(server: Server, workload: Workload, request: str) -> None:
    head, _, body = request.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines[1:] if "Content" not in line)
    response, _ = server.call(method, path, body=json.loads(body) if body else None, **headers)
    if response.status != workload.status:
        raise RuntimeError(f"{server.name} answers {first} with {response.status}")


def _beside(
    server: Server, workload: Workload, world: World, seconds: int
) -> AbstractContextManager[Row]:
    if workload.beside == "idle":
        return idle_connections(server, world.readers[0])
    if workload.beside == "logins":
        return logins(server, world.creators, seconds)
    return nullcontext({})
