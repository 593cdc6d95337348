"""The service as in production with its own durable PostgreSQL, and its users."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from flask import Flask
from support import databases
from support.api import PASSWORD, new_email
from support.rawhttp import Person
from support.servers import Service, started
from support.world import worker

PEOPLE = 100
TASKS_EACH = 10


class Place(NamedTuple):
    """The service and its database."""

    service: Service
    database_url: str
    people: list[Person]

    @property
    def url(self) -> str:
        return self.service.url

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0


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
    with _usual_file_limit(), started(url, DATABASE_PREPARE="true", BCRYPT_ROUNDS="12") as service:
        yield Place(service, url, people)


@contextmanager
def _usual_file_limit() -> Iterator[None]:
    """The default limit of open files on most systems: 1,024."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def newcomer(app: Flask, tasks: int, description: str = "As before") -> Person:
    """A new user with some tasks."""
    client, email = app.test_client(), new_email()
    login = client.post("/auth/register", json={"email": email, "password": PASSWORD}).json
    assert login
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    body = {"title": "A task", "description": description}
    made = [client.post("/tasks", json=body, headers=headers).json for _ in range(tasks)]
    return Person(email, login["access_token"], [task["id"] for task in made if task])


@pytest.fixture
def collector(place: Place) -> Person:
    """A user whose list is larger than the socket buffers."""
    with worker(databases.settings_for(place.database_url, log_level="warning")) as app:
        return newcomer(app, tasks=60, description="x" * 10_000)
