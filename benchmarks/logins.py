"""Clients that log in without pause.

Run as: python -m benchmarks.logins PORT SECONDS PASSWORD EMAIL... (one client for each email);
prints a JSON list with the status and the seconds of each attempt.
"""

from __future__ import annotations

import asyncio
import json
import sys
from time import monotonic

_BROKEN = 0
"""Instead of a status: there was no response."""

_PATIENCE = 30.0


class _Client:
    """One user with one connection, which is reopened when it breaks."""

    def __init__(self, port: int, email: str, password: str) -> None:
        self._port = port
        body = json.dumps({"email": email, "password": password})
        self._request = (
            f"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, until: float) -> list[tuple[int, float]]:
        """Log in repeatedly."""
        attempts = []
        while (started := monotonic()) < until:
            try:
                status = await asyncio.wait_for(self._log_in(), _PATIENCE)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                status, self._streams = _BROKEN, None
            attempts.append((status, round(monotonic() - started, 4)))
        return attempts

    async def _log_in(self) -> int:
        self._streams = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length:")[2].split("\r\n", 1)[0]
        await reader.readexactly(int(length))
        return int(head.split(" ", 2)[1])


async def _storm(port: int, seconds: float, password: str, emails: list[str]) -> None:
    until = monotonic() + seconds
    clients = [_Client(port, email, password).run(until) for email in emails]
    attempts = [attempt for each in await asyncio.gather(*clients) for attempt in each]
    print(json.dumps(attempts))


if __name__ == "__main__":
    asyncio.run(_storm(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4:]))
