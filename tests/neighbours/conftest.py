"""One service as in production, on a durable PostgreSQL, for all attacks of a run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from neighbours.scenario import Scenario
from support import databases
from support.production import Place, in_production, newcomer
from support.rawhttp import Person
from support.world import worker

STRANGERS_TASKS = 20


@pytest.fixture(scope="session")
def neighbours_url(run_folder: Path) -> Iterator[str]:
    with databases.server(run_folder / f"neighbours-{os.getpid()}", is_durable=True) as server:
        url = databases.create(server, f"neighbours_{time.monotonic_ns()}")
        databases.migrate(url)
        yield url


@pytest.fixture(scope="session")
def registry(neighbours_url: str) -> Iterator[Flask]:
    """Where accounts are registered: an application with cheap passwords and no limits."""
    with worker(databases.settings_for(neighbours_url, log_level="warning")) as app:
        yield app


@pytest.fixture(scope="session")
def place(neighbours_url: str, registry: Flask) -> Iterator[Place]:
    stranger, ordinary = (newcomer(registry, STRANGERS_TASKS) for _ in range(2))
    with in_production(neighbours_url, RATELIMIT_ENABLED="true", LOG_LEVEL="warning") as service:
        yield Place(service, neighbours_url, [stranger, ordinary])


@pytest.fixture
def scenario(place: Place, record_property: Callable[[str, object], None]) -> Scenario:
    return Scenario(place, record_property)


@pytest.fixture
def attacker(registry: Flask) -> Person:
    """Somebody who has just registered, with one task."""
    return newcomer(registry, 1)


@pytest.fixture
def database(neighbours_url: str) -> Iterator[psycopg.Connection]:
    """A connection of the test's own, in autocommit."""
    with psycopg.connect(neighbours_url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        yield connection
