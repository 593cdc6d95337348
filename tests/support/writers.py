"""Clients that write without pause while something fails, and their results."""

from __future__ import annotations

import ssl
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, NamedTuple

import httpx
from support.api import PASSWORD, new_email
from support.pages import pages

CLIENTS = 8
BROKEN = 0
"""Instead of a status: the connection broke."""

_PATIENCE = 20
_PAUSE = 0.05


class Outcome(NamedTuple):
    """The result of one attempt, with times of the monotonic clock."""

    status: int
    sent: float
    answered: float
    has_retry_after: bool


@dataclass
class Writer:
    """A user who creates tasks. Each request is repeated until it is acknowledged."""

    client: httpx.Client
    outcomes: list[Outcome] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    has_unfinished: bool = False

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            self._write_one(stop)

    def _write_one(self, stop: Event) -> None:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        while True:
            task_id = self._attempt(headers)
            if task_id:
                self.acknowledged.add(task_id)
                return
            if stop.wait(_PAUSE):
                self.has_unfinished = True
                return

    def _attempt(self, headers: dict[str, str]) -> int | None:
        sent, status, has_retry_after, task_id = time.monotonic(), BROKEN, False, None
        try:
            response = self.client.post("/tasks", json={"title": "Kept"}, headers=headers)
            status, has_retry_after = response.status_code, "Retry-After" in response.headers
            task_id = response.json()["id"] if status == httpx.codes.CREATED else None
        except httpx.TransportError:
            pass
        self.outcomes.append(Outcome(status, sent, time.monotonic(), has_retry_after))
        return task_id

    def stored(self) -> set[int]:
        """The IDs of the tasks that exist."""
        found: set[int] = set()
        for page in pages(self._page, limit=1_000):
            found |= {task["id"] for task in page["tasks"]}
        return found

    def _page(self, query: dict[str, Any]) -> dict[str, Any]:
        return dict(self.client.get("/tasks", params=query).raise_for_status().json())


class Writers(list[Writer]):
    """All writers."""

    def outcomes(self) -> list[Outcome]:
        return [outcome for writer in self for outcome in writer.outcomes]

    def statuses(self) -> Counter[int]:
        return Counter(outcome.status for outcome in self.outcomes())

    def slowest(self) -> float:
        """The seconds of the slowest response."""
        return max(outcome.answered - outcome.sent for outcome in self.outcomes())

    def seconds_until_success(self, moment: float) -> float:
        """The seconds from a time until the first write that was sent after it was acknowledged."""
        return (
            min(o.answered for o in self.outcomes() if o.status == 201 and o.sent > moment) - moment
        )

    def check(self) -> None:
        """Check that each acknowledged task exists exactly once."""
        for writer in self:
            stored = writer.stored()
            assert writer.acknowledged <= stored
            assert len(stored) <= len(writer.acknowledged) + writer.has_unfinished
        assert sum(len(writer.acknowledged) for writer in self) > 0


@contextmanager
def writing(url: str, trust: ssl.SSLContext | bool = True) -> Iterator[Writers]:
    """Run the writers until the block ends.

    Args:
        trust: the trusted certificates.
    """
    stop = Event()
    with ExitStack() as stack:
        writers = Writers(Writer(stack.enter_context(person(url, trust))) for _ in range(CLIENTS))
        with ThreadPoolExecutor(CLIENTS) as threads:
            running = [threads.submit(writer.run, stop) for writer in writers]
            try:
                yield writers
            finally:
                stop.set()
            for one in running:
                one.result(_PATIENCE)
        writers.check()


@contextmanager
def person(url: str, trust: ssl.SSLContext | bool = False) -> Iterator[httpx.Client]:
    """A client of a new user.

    Args:
        trust: the certificates of a server with TLS. Loading those of the system takes long.
    """
    with httpx.Client(base_url=url, timeout=_PATIENCE, verify=trust) as client:
        account = {"email": new_email(), "password": PASSWORD}
        login = client.post("/auth/register", json=account).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {login['access_token']}"
        yield client
