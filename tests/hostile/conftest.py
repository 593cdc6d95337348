"""A service for raw sockets, and what the database holds of two users."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.api import Api
from support.servers import serving
from support.stored import StoredRows, stored_rows
from support.writers import person as registered

from config import Settings


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


@pytest.fixture
def stored(settings: Settings, user: Api, stranger: Api) -> Iterator[StoredRows]:
    """The stored rows of two users who exist before the first read."""
    stranger.task(title="Somebody else's")
    with stored_rows(settings, user, stranger) as stored:
        yield stored
