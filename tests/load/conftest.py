"""The service as in production with its own durable PostgreSQL, and its users."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import databases
from support.production import Place, in_production, newcomer
from support.rawhttp import Person
from support.world import worker

PEOPLE = 100
TASKS_EACH = 10


@pytest.fixture(scope="session")
def load_server(run_folder: Path) -> Iterator[str]:
    with databases.server(run_folder / f"load-{os.getpid()}", is_durable=True) as url:
        yield url


@pytest.fixture
def place(load_server: str) -> Iterator[Place]:
    url = databases.create(load_server, f"load_{time.monotonic_ns()}")
    databases.migrate(url)
    with worker(databases.settings_for(url, log_level="warning")) as app:
        people = [newcomer(app, TASKS_EACH) for _ in range(PEOPLE)]
    with in_production(url) as service:
        yield Place(service, url, people)


@pytest.fixture
def collector(place: Place) -> Person:
    """A user whose list is larger than the socket buffers."""
    with worker(databases.settings_for(place.database_url, log_level="warning")) as app:
        return newcomer(app, tasks=60, description="x" * 10_000)
