"""nginx with the configuration of the guide, in front of the service."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest
from support import nginx
from support.api import PASSWORD, new_email
from support.servers import free_port, serving

from taskapi import problems as errors

pytestmark = [pytest.mark.deploy, pytest.mark.alone]

REQUESTS_OF_AN_ADDRESS = 200


@pytest.fixture(scope="module")
def proxy(database_url: str, run_folder: Path) -> Iterator[nginx.Proxy]:
    with (
        TemporaryDirectory(dir=run_folder) as name,
        serving(database_url, TRUSTED_PROXY_HOPS="1", RATELIMIT_ENABLED="true") as url,
    ):
        Path(name).chmod(0o755)
        with nginx.before(int(url.rpartition(":")[2]), Path(name)) as proxy:
            yield proxy


@contextmanager
def client(proxy: nginx.Proxy, address: str) -> Iterator[httpx.Client]:
    """A client with this address of the loopback network."""
    transport = httpx.HTTPTransport(verify=proxy.trust, local_address=address)
    with httpx.Client(base_url=proxy.url, transport=transport, timeout=30) as created:
        yield created


def register(client: httpx.Client) -> None:
    """Continue as a new user."""
    account = {"email": new_email(), "password": PASSWORD}
    login = client.post("/auth/register", json=account).raise_for_status().json()
    client.headers["Authorization"] = f"Bearer {login['access_token']}"


def test_the_service_gets_the_real_address_of_a_client(proxy: nginx.Proxy) -> None:
    with client(proxy, "127.0.0.21") as visitor:
        visitor.headers.update({"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.8"})
        register(visitor)
        sessions = visitor.get("/auth/sessions").json()["sessions"]
    assert [session["address"] for session in sessions] == ["127.0.0.21"]


def test_attempts_are_counted_by_the_real_address(
    proxy: nginx.Proxy,
) -> None:
    def attempt(visitor: httpx.Client, number: int) -> int:
        body = {"email": new_email(), "password": PASSWORD}
        headers = {"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": f"198.51.100.{number}"}
        return visitor.post("/auth/login", json=body, headers=headers).status_code

    with client(proxy, "127.0.0.22") as guesser, client(proxy, "127.0.0.23") as other:
        statuses = [attempt(guesser, number) for number in range(61)]
        assert set(statuses) == {401, 429}
        assert statuses.count(401) <= 60  # a new minute may begin in between
        assert attempt(other, 1) == 401


def test_an_address_has_a_limited_number_of_requests_in_progress(proxy: nginx.Proxy) -> None:
    head = b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(REQUESTS_OF_AN_ADDRESS):
            plain = socket.create_connection(("127.0.0.1", proxy.port), 30, ("127.0.0.28", 0))
            secured = proxy.trust.wrap_socket(plain, server_hostname="127.0.0.1")
            stack.enter_context(secured).sendall(head)
        with client(proxy, "127.0.0.28") as busy, client(proxy, "127.0.0.29") as other:
            refused = busy.get("/livez")
            assert refused.status_code == 429
            assert refused.json()["code"] == "too_many_concurrent_requests"
            assert other.get("/livez").status_code == 200


def test_responses_contain_no_scheme_or_host(proxy: nginx.Proxy) -> None:
    with client(proxy, "127.0.0.24") as visitor:
        visitor.headers.update({"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher"})
        register(visitor)
        created = visitor.post("/tasks", json={"title": "Somewhere"})
        assert created.headers["Location"].startswith("/tasks/")
        visitor.post("/tasks", json={"title": "Elsewhere"})
        first_page = visitor.get("/tasks?limit=1")
        assert "//" not in first_page.headers["Link"]
        for response in (visitor.get("/"), created, first_page):
            assert "evil.example" not in f"{response.headers}{response.text}"


def test_http_is_redirected_to_https(proxy: nginx.Proxy) -> None:
    url = f"http://127.0.0.1:{proxy.plain_port}/tasks?limit=1"
    response = httpx.get(url, headers={"Host": "tasks.example.com"})
    assert response.status_code == 308
    assert response.headers["Location"] == "https://tasks.example.com/tasks?limit=1"


def test_nginx_buffers_slow_clients(proxy: nginx.Proxy) -> None:
    """Its body takes longer than the service's limit of ten seconds."""
    with client(proxy, "127.0.0.25") as visitor:
        register(visitor)
        token = visitor.headers["Authorization"]
    body = json.dumps({"title": "Slowly"}).encode()
    head = (
        f"POST /tasks HTTP/1.1\r\nHost: tasks.example.com\r\nAuthorization: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", proxy.port), 10) as plain,
        proxy.trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(head.encode() + body[:1])
        for byte in body[1:13]:
            time.sleep(1)
            connection.sendall(bytes([byte]))
        connection.sendall(body[13:])
        assert connection.recv(12) == b"HTTP/1.1 201"


def test_connections_to_the_service_are_reused(proxy: nginx.Proxy) -> None:
    service = _upstream_port()
    before = _connections_to(service)
    with client(proxy, "127.0.0.26") as visitor:
        for _ in range(100):
            assert visitor.get("/livez").status_code == 200
    opened = _connections_to(service) - before
    assert len(opened) <= 2, opened


def _upstream_port() -> int:
    """The port of the service, which is a child of this process with workers."""
    ports = [
        connection.laddr.port
        for child in psutil.Process().children()
        if child.children() and "gunicorn" in " ".join(child.cmdline())
        for connection in child.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(ports) == 1
    return int(ports[0])


def _connections_to(port: int) -> set[int]:
    """The client ports of all connections to the service, including those just closed."""
    there = (one for one in psutil.net_connections("tcp") if one.raddr and one.raddr.port == port)
    return {one.laddr.port for one in there}


@pytest.mark.parametrize("size", [300 * 1024, 2 * 1024 * 1024], ids=["ours", "nginx's"])
def test_a_large_body_returns_the_services_error(proxy: nginx.Proxy, size: int) -> None:
    with client(proxy, "127.0.0.27") as visitor:
        register(visitor)
        response = visitor.post("/tasks", json={"title": "x" * size})
    _check_problem(response, errors.ContentTooLarge())


def test_an_error_before_the_body_was_read_arrives(proxy: nginx.Proxy) -> None:
    with client(proxy, "127.0.0.29") as visitor:
        statuses = {visitor.post("/tasks", content=b"x" * 200_000).status_code for _ in range(200)}
    assert statuses == {401}


def test_lists_are_compressed_and_single_resources_keep_their_etags(proxy: nginx.Proxy) -> None:
    with client(proxy, "127.0.0.28") as visitor:
        register(visitor)
        visitor.headers["Accept-Encoding"] = "gzip"
        created = visitor.post("/tasks", json={"title": "One", "description": "x" * 5_000})
        path = created.headers["Location"]
        for response in (created, visitor.get(path)):
            assert "Content-Encoding" not in response.headers
        tag = created.headers["ETag"]
        changed = visitor.patch(path, json={"title": "Two"}, headers={"If-Match": tag})
        assert changed.status_code == 200
        page = visitor.get("/tasks")
        assert page.headers["Content-Encoding"] == "gzip"
        assert page.json()["tasks"] == [changed.json()]
        prefixed = visitor.get(f"/workspaces/{created.json()['user_id']}/tasks")
        assert prefixed.headers["Content-Encoding"] == "gzip"
        known = {"If-None-Match": page.headers["ETag"]}
        assert visitor.get("/tasks", headers=known).status_code == 304
        document = visitor.get("/openapi.json")
        assert document.headers["Content-Encoding"] == "gzip"
        assert document.headers["ETag"].startswith('"')


def test_a_chunked_body_arrives(proxy: nginx.Proxy) -> None:
    with client(proxy, "127.0.0.29") as visitor:
        register(visitor)
        pieces = iter([b'{"title": ', b'"Chunked"}'])
        headers = {"Content-Type": "application/json"}
        assert visitor.post("/tasks", content=pieces, headers=headers).status_code == 201


def test_without_the_service_the_response_is_503_with_retry_after(run_folder: Path) -> None:
    with TemporaryDirectory(dir=run_folder) as name:
        Path(name).chmod(0o755)
        with nginx.before(free_port(), Path(name)) as proxy, client(proxy, "127.0.0.28") as visitor:
            response = visitor.get("/tasks")
    assert response.headers["Retry-After"] == "1"
    _check_problem(response, errors.Unavailable())


def _check_problem(response: httpx.Response, problem: errors.Problem) -> None:
    assert response.status_code == problem.status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Strict-Transport-Security"]
    assert response.json() == problem.body(response.json()["request_id"])
    assert response.json()["request_id"]
