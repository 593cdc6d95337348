"""Fixtures of the tests that use raw sockets."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.servers import serving
from support.writers import person as registered


@pytest.fixture(scope="module")
def service(database_url: str) -> Iterator[str]:
    """The URL of gunicorn with one worker, so that a blocked event loop blocks everything."""
    with serving(database_url, WEB_CONCURRENCY="1") as url:
        yield url


@pytest.fixture
def person(service: str) -> Iterator[httpx.Client]:
    """A client of a new user."""
    with registered(service) as client:
        yield client
