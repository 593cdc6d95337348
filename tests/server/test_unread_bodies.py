"""A request that is refused before its body was read: its client gets the refusal all the same."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from support.servers import serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(database_url: str) -> Iterator[httpx.Client]:
    with serving(database_url) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def _post(client: httpx.Client, path: str, size: int) -> httpx.Response:
    """Head and body are sent apart, and the next request goes on the same connection if it may."""
    content = b'{"title": "x"}'.ljust(size)
    return client.post(path, content=content, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("size", [14, 10_000, 256 * 1024])
def test_without_a_token_one_is_asked_for(client: httpx.Client, size: int) -> None:
    for _ in range(50):
        answer = _post(client, "/tasks", size)
        assert answer.status_code == 401
        assert answer.headers["Connection"] == "close"
        assert client.get("/livez").headers["Connection"] == "keep-alive"


def test_a_body_that_is_too_large_is_told_so(client: httpx.Client) -> None:
    for _ in range(20):
        assert _post(client, "/auth/login", 900_000).status_code == 413
        assert client.get("/livez").status_code == 200
