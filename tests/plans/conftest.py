"""Fixtures of the tests of query plans. Each worker fills one database."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from plans.large import FILL
from support import databases


@pytest.fixture(scope="session")
def full(server_url: str, template: str, worker_id: str) -> Iterator[psycopg.Connection]:
    """A connection to a database with 120,000 tasks, 20,000 of one user."""
    url = databases.create(server_url, f"plans_{worker_id}", template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        for command in FILL.split(";\n\n"):
            connection.execute(command)
        yield connection


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def planner(full: psycopg.Connection, request: pytest.FixtureRequest) -> psycopg.Connection:
    full.execute(f"SET plan_cache_mode = {request.param}")
    return full
