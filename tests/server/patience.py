"""Checks that many short waits do not add up to a timeout. `test_patience.py` runs it under gevent.

Run as: python patience.py DATABASE_URL.
"""

# ruff: noqa: E402 - gevent patches the standard library before anything imports it
from gevent import monkey

monkey.patch_all()

import sys
from socket import socketpair

import gevent
import psycopg

from taskapi.runtime import clients
from taskapi.runtime import connection as connections

SHORT, LONG, PATIENCE = 0.1, 1.0, 0.25
FLOAT8 = psycopg.adapters.types["float8"].oid


def query(connection: connections.Connection, seconds: float) -> bool:
    """Whether a query of this duration succeeds."""
    try:
        connection.run(b"SELECT pg_sleep($1::float8)", [seconds], (FLOAT8,))
    except psycopg.errors.QueryCanceled:
        return False
    return True


def waits(client: clients.Client, seconds: float) -> bool:
    """Whether a connection stays open while it waits this long for a request."""
    with client:
        gevent.sleep(seconds)
        return True
    return False


connection = connections.connection_class().connect(sys.argv[1], autocommit=True)
connection.patience = PATIENCE
assert all(query(connection, SHORT) for _ in range(6))
assert not query(connection, LONG)
assert query(connection, SHORT)
with connection.transaction():
    assert not query(connection, LONG)
assert query(connection, SHORT)

near, far = socketpair()
client = clients.Client(near, PATIENCE)
assert all(waits(client, SHORT) for _ in range(6))
assert not waits(client, LONG)
