"""A proxy that delays each response of the database, like a network.

Requests pass at once, responses late and in order. Consecutive responses are delayed
concurrently. Run as: python -m benchmarks.delay LISTEN UPSTREAM SECONDS
"""

from __future__ import annotations

import socket
import sys
from collections import deque
from select import select
from time import monotonic

_CHUNK = 262_144


class Proxy:
    """One loop over all connections, which uses little CPU time beside the measurement."""

    def __init__(self, listen: str, upstream: str, seconds: float) -> None:
        self._upstream = upstream
        self._seconds = seconds
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(listen)
        self._listener.listen()
        # The peer of each socket, and the sockets to the database.
        self._peers: dict[socket.socket, socket.socket] = {}
        self._databases: set[socket.socket] = set()
        # All have the same delay, so the first received is the first due.
        self._answers: deque[tuple[float, socket.socket, bytes]] = deque()

    def run(self) -> None:
        """Serve until killed."""
        while True:
            wait = max(0.0, self._answers[0][0] - monotonic()) if self._answers else None
            # epoll would round up to a millisecond, a fifth of the usual delay.
            readable, _, _ = select([self._listener, *self._peers], [], [], wait)
            for end in readable:
                if end is self._listener:
                    self._accept()
                elif end in self._peers:
                    self._pass_on(end)
            while self._answers and self._answers[0][0] <= monotonic():
                _, client, data = self._answers.popleft()
                self._send(client, data)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        database = socket.socket(socket.AF_UNIX)
        try:
            database.connect(self._upstream)
        except OSError:
            client.close()
            return
        self._peers |= {client: database, database: client}
        self._databases.add(database)

    def _pass_on(self, end: socket.socket) -> None:
        try:
            data = end.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._close(end)
        elif end in self._databases:
            self._answers.append((monotonic() + self._seconds, self._peers[end], data))
        else:
            self._send(self._peers[end], data)

    def _send(self, end: socket.socket, data: bytes) -> None:
        try:
            end.sendall(data)
        except OSError:
            self._close(end)

    def _close(self, end: socket.socket) -> None:
        other = self._peers.pop(end, None)
        if other:
            del self._peers[other]
            self._databases -= {end, other}
            # Delayed data is lost, for which no client waits.
            other.close()
        end.close()


if __name__ == "__main__":
    Proxy(sys.argv[1], sys.argv[2], float(sys.argv[3])).run()
