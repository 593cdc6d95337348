"""Fixtures of the tests that use raw sockets."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.api import PASSWORD, new_email
from support.servers import serving


@pytest.fixture(scope="module")
def service(database_url: str) -> Iterator[str]:
    """The URL of gunicorn with one worker, so that a blocked event loop blocks everything."""
    with serving(database_url, WEB_CONCURRENCY="1") as url:
        yield url


@pytest.fixture
def person(service: str) -> Iterator[httpx.Client]:
    """A client of a new user."""
    # There is no TLS, and loading the system's certificates takes long.
    with httpx.Client(base_url=service, timeout=30, verify=False) as client:
        account = {"email": new_email(), "password": PASSWORD}
        login = client.post("/auth/register", json=account).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {login['access_token']}"
        yield client
