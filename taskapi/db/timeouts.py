"""Timeouts of the database, which cancels statements that the service no longer waits for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from taskapi.runtime.connection import Connection

_SET_LOCAL = (
    b"SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true)"
)
_TEXT = (25,)
"""The OID of the parameter's type."""


@contextmanager
def extended(connection: Connection, seconds: float) -> Iterator[None]:
    """A transaction whose statements may take longer than the timeouts of the role allow."""
    with connection.transaction():
        extend(connection, seconds)
        yield


def extend(connection: Connection, seconds: float) -> None:
    """Let the statements of the current transaction take so many seconds each."""
    connection.run(_SET_LOCAL, [str(int(seconds * 1_000))], _TEXT)
