"""Security headers of all responses of the running service, including gunicorn's own errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from support.attackers import Person, client_of, exchange, routes, rows
from support.servers import Service, started

pytestmark = pytest.mark.security

PAGES = ("/docs", "/redoc", "/openapi.json", "/nowhere", "/docs/assets/any/pages.css", "/tasks/x")
VERSION = re.compile(r"\d+\.\d+|gunicorn|flask|werkzeug|python|gevent|postgres", re.IGNORECASE)
MALFORMED = {
    "no HTTP": b"NONSENSE\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "a bad header": b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n",
    "a long address": b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nX: " + b"a" * 9_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "an unknown coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: rot13\r\n\r\n",
    "an unknown expectation": b"GET / HTTP/1.1\r\nExpect: the unexpected\r\n\r\n",
}
FOREIGN = ("https://evil.example", "null", "https://app.example.com.evil.example", "*")
ORIGIN = "https://app.example.com"


def _is_guarded(headers: httpx.Headers) -> None:
    """Whether a response has the security headers, and no header that reveals the software."""
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"]
    assert headers["X-Request-ID"]
    assert headers["Server"] == "taskapi"
    assert not {"X-Powered-By", "Via", "Set-Cookie"} & {name.title() for name in headers}
    told = {k: v for k, v in headers.items() if k not in ("date", "x-request-id", "etag", "link")}
    assert not [value for value in told.values() if VERSION.search(value)]


@pytest.mark.parametrize("who", ["anonymous", "somebody", "with nonsense"])
def test_every_operation_returns_security_headers(
    attacker: httpx.Client, person: Person, who: str, record_property: Callable[[str, object], None]
) -> None:
    own = {"anonymous": {}, "somebody": person.headers, "with nonsense": {"Authorization": "x"}}
    calls = [route for route in routes(attacker) if route.path != "/auth/logout"]
    for route in calls:
        sent = {"headers": own[who], **route.body}
        answer = attacker.request(route.method, route.path, **sent)
        _is_guarded(answer.headers)
        if route.path.startswith("/auth"):
            assert answer.headers["Cache-Control"] == "no-store"
        assert "Authorization" in answer.headers["Vary"]
    for path in PAGES:
        for method in ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "PURGE"):
            _is_guarded(attacker.request(method, path, headers=own[who]).headers)
    record_property("answers", len(calls) + len(PAGES) * 6)


def test_no_get_changes_anything(attacker: httpx.Client, person: Person, private: str) -> None:
    before = rows(private)
    for route in routes(attacker):
        if route.method == "GET":
            for method in ("GET", "HEAD", "OPTIONS"):
                attacker.request(method, route.path, headers=person.headers)
    assert rows(private) == before


@pytest.mark.parametrize("name", MALFORMED)
def test_errors_of_gunicorn_have_security_headers(service: Service, name: str) -> None:
    head, _, body = exchange(service, MALFORMED[name]).partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    assert re.match(r"HTTP/1\.1 4\d\d ", status)
    headers = httpx.Headers([line.partition(": ")[::2] for line in lines])
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Cache-Control"] == "no-store"
    assert f'"request_id":"{headers["X-Request-ID"]}"' in body
    _is_guarded(headers)


@pytest.mark.parametrize("page", ["/docs", "/redoc", "/verify-email", "/reset-password"])
def test_pages_load_only_own_assets_and_cannot_be_framed(attacker: httpx.Client, page: str) -> None:
    headers = attacker.get(page).headers
    policy = headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self'", "base-uri 'none'"):
        assert part in policy
    for part in ("frame-ancestors 'none'", "form-action 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.fixture(scope="module")
def for_pages(new_database: Callable[[], str]) -> Iterator[httpx.Client]:
    """A client of the service with an origin whose pages may call it."""
    with started(new_database(), CORS_ORIGINS=ORIGIN) as service, client_of(service) as client:
        yield client


def _is_shared(answer: httpx.Response) -> bool:
    return any(name.startswith("access-control-") for name in answer.headers)


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_cannot_read_responses(
    attacker: httpx.Client, for_pages: httpx.Client, origin: str
) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    for client in (attacker, for_pages):
        for path in ("/tasks", "/auth/me", "/auth/login", "/nowhere", "/openapi.json"):
            assert not _is_shared(client.get(path, headers={"Origin": origin}))
            assert not _is_shared(client.options(path, headers=asked))


def test_a_configured_origin_can_read_responses(for_pages: httpx.Client) -> None:
    answer = for_pages.get("/tasks", headers={"Origin": ORIGIN})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x", ""])
def test_a_cross_site_form_changes_nothing(
    attacker: httpx.Client, person: Person, kind: str
) -> None:
    """Nor does a cookie: there is none. A request that needs no preflight changes nothing."""
    body = b'{"title": "Planted"}'
    headers = {"Origin": "https://evil.example", "Content-Type": kind}
    assert attacker.post("/tasks", content=body, headers=headers).status_code == 401
    cookie = {"Cookie": f"access_token_cookie={person.login['access_token']}"}
    assert attacker.post("/tasks", content=body, headers=headers | cookie).status_code == 401
    answer = attacker.post("/tasks", content=body, headers=headers | person.headers)
    assert answer.status_code == 415
    assert attacker.get("/tasks", headers=person.headers).json()["total"] == 0
