"""The workloads, as raw requests for wrk."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from benchmarks.people import CALLS, Account, World
from benchmarks.servers import Server

CONNECTIONS = 100
FEW = 8
_MIXES = 400
_KNOWN_LISTS = 50
_PAGE = 20
_CHUNKS = 20

BASIC = ("get", "list", "create", "update", "mix")
SHARED = {f"shared-{name}": name for name in ("get", "list", "create", "update")}
"""Workloads in shared workspaces, with the same ones in personal workspaces."""

Requests = Callable[[Server, World], list[str]]


@dataclass(frozen=True)
class Workload:
    """One workload.

    Args:
        title: its name in tables.
        requests: the raw requests.
        on_large: whether it uses the large database.
        beside: concurrent load: "idle" connections, or "logins".
        has_floor: whether the floor supports it.
        status: the expected status.
    """

    name: str
    title: str
    requests: Requests
    status: int = 200
    connections: int = CONNECTIONS
    on_large: bool = False
    beside: str = ""
    has_floor: bool = True


def _raw(server: Server, account: Account, name: str, **other: str) -> str:
    """A raw request, optionally with another path or If-None-Match."""
    method, path, body = CALLS[name]
    content = json.dumps(body) if body else ""
    lines = [
        f"{method} {account.base}{other.get('path', path)} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Accept: application/json",
        f"Authorization: Bearer {account.token}",
    ]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    if "known" in other:
        lines.append(f"If-None-Match: {other['known']}")
    return "\r\n".join(lines) + "\r\n\r\n" + content


def _gets(server: Server, world: World) -> list[str]:
    return _of_each_task(server, world.readers, "get")


def _lists(server: Server, world: World) -> list[str]:
    return [_raw(server, one, "list") for one in world.readers]


def _creates(server: Server, world: World) -> list[str]:
    return [_raw(server, one, "create") for one in world.creators]


def _updates(server: Server, world: World) -> list[str]:
    return _of_each_task(server, world.updaters, "update")


def _of_each_task(server: Server, accounts: list[Account], name: str) -> list[str]:
    """Shuffled, because writes to one account wait for each other."""
    _, path, _ = CALLS[name]
    found = [
        _raw(server, one, name, path=path.format(id=task))
        for one in accounts
        for task in one.task_ids
    ]
    random.Random(1).shuffle(found)
    return found


def _mix(server: Server, world: World) -> list[str]:
    """Seven of ten requests list; one each gets, creates and updates."""
    chance = random.Random(1)
    lists = _lists(server, world)
    others = [_gets(server, world), _creates(server, world), _updates(server, world)]
    mixed = []
    for _ in range(_MIXES):
        ten = chance.sample(lists, 7) + [chance.choice(kind) for kind in others]
        chance.shuffle(ten)
        mixed += ten
    return mixed


def _known_lists(server: Server, world: World) -> list[str]:
    found = []
    for one in world.readers[:_KNOWN_LISTS]:
        response, _ = server.call("GET", CALLS["list"][1], one.token)
        found.append(_raw(server, one, "list", known=response.headers["ETag"]))
    return found


def _page(number: int) -> Requests:
    """A page of the first reader, reached by cursors in a few large pages."""

    def requests(server: Server, world: World) -> list[str]:
        account = world.readers[0]
        path, skipped = CALLS["list"][1], (number - 1) * _PAGE
        if skipped:
            cursor = ""
            for _ in range(_CHUNKS):
                step = f"/tasks?limit={skipped // _CHUNKS}{cursor}"
                _, answer = server.call("GET", step, account.token)
                cursor = f"&cursor={answer['next_cursor']}"
            path += cursor
        return [_raw(server, account, "list", path=path)]

    return requests


def _shared(one: Workload) -> Workload:
    """The same in shared workspaces, which the floor does not have."""
    return replace(
        one,
        name=f"shared-{one.name}",
        title=f"{one.title}, shared workspace",
        requests=lambda server, world: one.requests(server, world.shared()),
        has_floor=False,
    )


def _with_shared(*personal: Workload) -> Iterator[Workload]:
    """Each workload and the same in shared workspaces: consecutive, because they are compared."""
    for one in personal:
        yield from (one, _shared(one))


def _few(one: Workload) -> Workload:
    """The same with few connections, where latency is not queueing time."""
    name, title = f"{one.name}-{FEW}", f"{one.title}, {FEW} connections"
    return replace(one, name=name, title=title, connections=FEW, has_floor=False)


def all_workloads(heavy: int) -> list[Workload]:
    """All workloads, with this number of tasks in the heavy account."""
    later = min(1_000, heavy // _PAGE // 2)
    get = Workload("get", "get one", _gets)
    small = Workload("list", f"list {_PAGE} with total", _lists)
    writes = [
        Workload("create", "create", _creates, 201),
        Workload("update", "update", _updates),
        Workload("mix", "mix (70 % list)", _mix),
    ]
    # Consecutive, because they are compared.
    large = [
        Workload("first", f"first page of {heavy:,} tasks", _page(1), on_large=True),
        Workload("later", f"page {later:,} of {heavy:,} tasks", _page(later), on_large=True),
    ]
    return [
        *_with_shared(get, small),
        *large,
        *_with_shared(*writes[:2]),
        *writes[2:],
        Workload("known", "list, If-None-Match", _known_lists, 304),
        Workload("idle", "get beside 1,000 idle connections", _gets, beside="idle"),
        Workload(
            "logins", "get beside 50 clients logging in", _gets, beside="logins", has_floor=False
        ),
        *(_few(one) for one in (get, small, *writes)),
    ]
