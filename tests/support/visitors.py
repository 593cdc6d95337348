"""Clients that register, read, change, refresh, log in and log out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import httpx
from support.api import PASSWORD, new_email
from support.writers import BROKEN

VISITORS = 4
_PATIENCE = 20


class Visits(Counter[tuple[str, int]]):
    """The number of responses by request and status."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()

    def record(self, call: str, status: int) -> None:
        with self._lock:
            self[call, status] += 1

    def unexpected(self) -> dict[tuple[str, int], int]:
        """The unsuccessful ones."""
        return {seen: number for seen, number in self.items() if seen[1] not in range(200, 300)}


class Visitor:
    """One visit after the other, each by a new user."""

    def __init__(self, url: str, visits: Visits) -> None:
        self._url = url
        self._visits = visits

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            with httpx.Client(base_url=self._url, timeout=_PATIENCE) as client:
                try:
                    self._visit(client)
                except httpx.HTTPError:  # already counted
                    stop.wait(0.05)

    def _visit(self, client: httpx.Client) -> None:
        account = {"email": new_email(), "password": PASSWORD}
        login = self._call(client, "POST", "/auth/register", json=account)
        login = self._call(
            client, "POST", "/auth/refresh", json={"refresh_token": login["refresh_token"]}
        )
        client.headers["Authorization"] = f"Bearer {login['access_token']}"
        for _ in range(5):
            task = self._call(client, "POST", "/tasks", json={"title": "Seen"})
            path = f"/tasks/{task['id']}"
            self._call(client, "GET", path)
            self._call(client, "PATCH", path, json={"is_completed": True})
            listed = self._call(client, "GET", "/tasks?is_completed=true&limit=2")
            assert listed["tasks"][0]["id"] == task["id"]
        self._call(client, "DELETE", path)
        self._call(client, "GET", "/auth/sessions")
        self._call(client, "POST", "/auth/logout")
        login = self._call(client, "POST", "/auth/login", json=account)
        client.headers["Authorization"] = f"Bearer {login['access_token']}"
        assert self._call(client, "GET", "/tasks")["total"] == 4

    def _call(self, client: httpx.Client, method: str, path: str, **kwargs: Any) -> Any:
        call = f"{method} {path.partition('?')[0].rstrip('0123456789')}"
        try:
            response = client.request(method, path, **kwargs)
        except httpx.TransportError:
            self._visits.record(call, BROKEN)
            raise
        self._visits.record(call, response.status_code)
        return response.raise_for_status().json() if response.content else None


@contextmanager
def visiting(url: str) -> Iterator[Visits]:
    """Run the visitors until the block ends."""
    stop, visits = Event(), Visits()
    with ThreadPoolExecutor(VISITORS) as threads:
        running = [threads.submit(Visitor(url, visits).run, stop) for _ in range(VISITORS)]
        try:
            yield visits
        finally:
            stop.set()
        for one in running:
            one.result(2 * _PATIENCE)
