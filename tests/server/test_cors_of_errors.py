"""CORS headers of the errors of the server itself, which never reach the application."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hostile.raw import talk
from support.servers import serving

pytestmark = pytest.mark.processes

ORIGIN, OTHER = "https://app.example.com", "https://evil.example"
REQUESTS = {
    414: "GET /{long} HTTP/1.1\r\nHost: localhost\r\n{origin}\r\n",
    431: "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n{origin}\r\n",
    400: "GET / HTTP/1.1\r\nHost: a/b\r\n{origin}\r\n",
}
LENGTHS = (8_300, 20_000, 60_000)


@pytest.fixture(scope="module")
def service(database_url: str) -> Iterator[str]:
    with serving(database_url, WEB_CONCURRENCY="1", CORS_ORIGINS=ORIGIN) as url:
        yield url


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("status", REQUESTS)
def test_pages_of_allowed_origins_can_read_errors(service: str, status: int, length: int) -> None:
    for name in ("Origin", "origin"):
        text = REQUESTS[status].format(long="x" * length, origin=f"{name}: {ORIGIN}\r\n")
        (response,) = talk(service, text.encode()).responses
        assert (response.status, response.problem["status"]) == (status, status)
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert response.headers["access-control-allow-credentials"] == "true"
        assert "X-Request-ID" in response.headers["access-control-expose-headers"]
        assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [f"Origin: {OTHER}\r\n", "Origin: *\r\n", ""])
@pytest.mark.parametrize("status", REQUESTS)
def test_other_origins_cannot_read_errors(service: str, status: int, origin: str) -> None:
    text = REQUESTS[status].format(long="x" * LENGTHS[1], origin=origin)
    (response,) = talk(service, text.encode()).responses
    assert response.status == status
    assert not any(name.startswith("access-control") for name in response.headers)
    assert response.headers["vary"] == "Origin"


def test_headers_that_never_end_get_a_response(service: str) -> None:
    (response,) = talk(service, b"GET /" + b"x" * 9_000).responses
    assert response.status == 414
