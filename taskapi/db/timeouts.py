"""Timeouts of the database, which cancels statements that the service no longer waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from taskapi.runtime.connection import Connection


@contextmanager
def extended(connection: Connection, seconds: float) -> Iterator[None]:
    """A transaction whose statements may take longer than the timeouts of the role allow."""
    milliseconds = int(seconds * 1_000)
    with connection.transaction():
        connection.execute(
            f"SET LOCAL statement_timeout = {milliseconds};"
            f" SET LOCAL lock_timeout = {milliseconds}".encode()
        )
        yield
