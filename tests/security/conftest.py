"""The service as in production, with two workers, for attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import httpx
import pytest
from support import databases
from support.attackers import Person, client_of, registered
from support.servers import Service, started

_numbers = count(1)


@pytest.fixture(scope="session")
def new_database(server_url: str, template: str, worker_id: str) -> Callable[[], str]:
    """Creates migrated databases."""
    return lambda: databases.create(server_url, f"security_{worker_id}_{next(_numbers)}", template)


@pytest.fixture(scope="module")
def private(new_database: Callable[[], str]) -> str:
    """The database of the service."""
    return new_database()


@pytest.fixture(scope="module")
def service(private: str) -> Iterator[Service]:
    """The service with two workers, with the most detailed log."""
    with started(private, WEB_CONCURRENCY="2", LOG_LEVEL="debug") as service:
        yield service


@pytest.fixture
def attacker(service: Service) -> Iterator[httpx.Client]:
    with client_of(service) as client:
        yield client


@pytest.fixture
def person(attacker: httpx.Client) -> Person:
    return registered(attacker)


@pytest.fixture
def somebody_else(attacker: httpx.Client) -> Person:
    return registered(attacker)
