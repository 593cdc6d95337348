"""The service as in production, and the accounts of those who use it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from flask import Flask
from support.api import PASSWORD, new_email
from support.rawhttp import Person
from support.servers import Service, started


class Place(NamedTuple):
    """The service, and the database that it uses."""

    service: Service
    database_url: str
    people: list[Person]

    @property
    def url(self) -> str:
        return self.service.url

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0


@contextmanager
def in_production(database_url: str, **settings: str) -> Iterator[Service]:
    """The running service, with the settings and the limit of open files that are usual."""
    with (
        _usual_file_limit(),
        started(database_url, DATABASE_PREPARE="true", BCRYPT_ROUNDS="12", **settings) as service,
    ):
        yield service


@contextmanager
def _usual_file_limit() -> Iterator[None]:
    """What most systems allow a process that does not ask for more: 1,024 open files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def newcomer(app: Flask, tasks: int, description: str = "As before") -> Person:
    """Somebody who has just registered and added some tasks."""
    client, email = app.test_client(), new_email()
    login = client.post("/auth/register", json={"email": email, "password": PASSWORD}).json
    assert login
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    body = {"title": "A task", "description": description}
    made = [client.post("/tasks", json=body, headers=headers).json for _ in range(tasks)]
    return Person(email, login["access_token"], [task["id"] for task in made if task])
