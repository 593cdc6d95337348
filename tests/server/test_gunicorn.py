"""Tests that need gunicorn: workers, the event loop, bodies on the network."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from support.api import PASSWORD, new_email
from support.servers import serving, started
from support.writers import person as registered

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def service(database_url: str) -> Iterator[str]:
    """One worker, so that a blocked event loop blocks everything."""
    with serving(database_url, WEB_CONCURRENCY="1", BCRYPT_ROUNDS="12") as url:
        yield url


@pytest.fixture
def person(service: str) -> Iterator[httpx.Client]:
    """A client with a token."""
    with httpx.Client(base_url=service, timeout=30) as client:
        account = {"email": new_email(), "password": PASSWORD}
        login = client.post("/auth/register", json=account).json()
        client.headers["Authorization"] = f"Bearer {login['access_token']}"
        client.headers["X-Email"] = account["email"]
        yield client


def _exchange(service: str, request: bytes) -> tuple[int, str]:
    """The status and body of the response to these bytes, after which the client stops sending."""
    address = urlsplit(service)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


def _post(person: httpx.Client, headers: str, body: bytes) -> bytes:
    return (
        f"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: {person.headers['Authorization']}\r\n{headers}\r\n"
    ).encode() + body


def test_a_response_to_head_ends_with_its_headers(service: str, person: httpx.Client) -> None:
    token = person.headers["Authorization"]
    head = f"HEAD /tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n"
    get = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    status, following = _exchange(service, (head + get).encode())
    assert status == 200
    assert following.startswith("HTTP/1.1 200 OK\r\n")
    assert following.endswith('\r\n\r\n{"status":"ok"}')


def test_a_slow_query_does_not_block_other_requests(
    service: str, person: httpx.Client, database_url: str
) -> None:
    with (
        psycopg.connect(database_url) as other,
        ThreadPoolExecutor() as threads,
    ):
        other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        waiting = threads.submit(person.get, "/tasks")
        assert httpx.get(f"{service}/livez").status_code == 200
        assert httpx.get(f"{service}/readyz").status_code == 200
        assert not waiting.done()
        other.rollback()
        assert waiting.result().status_code == 200


def test_hashing_a_password_does_not_block_other_requests(
    service: str, person: httpx.Client
) -> None:
    account = {"email": person.headers["X-Email"], "password": PASSWORD}
    with ThreadPoolExecutor() as threads:
        logins = [threads.submit(person.post, "/auth/login", json=account) for _ in range(3)]
        answered_meanwhile = 0
        while not all(login.done() for login in logins):
            answered_meanwhile += person.get("/tasks").status_code == 200
        assert [login.result().status_code for login in logins] == [200] * 3
    assert answered_meanwhile > 10


def test_too_many_concurrent_logins_return_503(service: str, person: httpx.Client) -> None:
    account = {"email": person.headers["X-Email"], "password": PASSWORD}

    def log_in(_: int) -> httpx.Response:
        return httpx.post(f"{service}/auth/login", json=account, timeout=30)

    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(log_in, range(40)))
    served = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert served
    assert len(refused) == 40 - len(served) > 0
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert all("logging in" in answer.json()["detail"] for answer in refused)


def test_a_truncated_body_changes_nothing(person: httpx.Client, service: str) -> None:
    body = b'{"title": "x"}'
    status, said = _exchange(service, _post(person, f"Content-Length: {len(body) + 5}\r\n", body))
    assert status == 400
    assert '"code":"malformed_body"' in said
    assert person.get("/tasks").json()["total"] == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("a/b", 400),
        ("a?b", 400),
        ("a#b", 400),
        ("user@a", 400),
        ("a b", 400),
        ("a:b", 400),
        ("a:1:2", 400),
        ("[::1", 400),
        ("caf\xe9", 400),
        ("localhost", 200),
        ("tasks.example.com:443", 200),
        ("my_service", 200),
        ("[::1]:8000", 200),
        ("127.0.0.1:", 200),
    ],
)
def test_an_invalid_host_returns_400(service: str, host: str, status: int) -> None:
    sent = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")
    found, body = _exchange(service, sent)
    assert found == status
    assert ('"code":"malformed_request"' in body) == (status == 400)


@pytest.mark.parametrize("path", ["//tasks", "/tasks/", "///tasks//"])
def test_further_slashes_are_not_found(service: str, path: str) -> None:
    status, body = _exchange(service, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert status == 404
    assert "The path is /tasks," in body


def test_the_server_header_has_no_version(service: str) -> None:
    assert not any(c.isdigit() for c in httpx.get(service).headers.get("Server", ""))


def test_a_session_ends_in_every_worker_at_once(database_url: str) -> None:
    with serving(database_url, WEB_CONCURRENCY="2") as url:
        account = {"email": new_email(), "password": PASSWORD}
        login = httpx.post(f"{url}/auth/register", json=account).json()
        headers = {"Authorization": f"Bearer {login['access_token']}"}

        def statuses() -> set[int]:
            # A new connection each time, so that both workers get requests.
            return {httpx.get(f"{url}/tasks", headers=headers).status_code for _ in range(30)}

        assert statuses() == {200}
        httpx.post(f"{url}/auth/logout", headers=headers).raise_for_status()
        assert statuses() == {401}


def test_a_request_in_progress_is_completed_when_the_server_stops(database_url: str) -> None:
    answers: list[Any] = []
    with psycopg.connect(database_url) as other, ThreadPoolExecutor() as threads:
        with serving(database_url, WEB_CONCURRENCY="1", DATABASE_POOL_TIMEOUT="10") as url:
            account = {"email": new_email(), "password": PASSWORD}
            login = httpx.post(f"{url}/auth/register", json=account).json()
            headers = {"Authorization": f"Bearer {login['access_token']}"}
            other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            answers.append(
                threads.submit(
                    httpx.post, f"{url}/tasks", json={"title": "x"}, headers=headers, timeout=30
                )
            )
            _until_waiting_for_a_lock(database_url)
            threads.submit(_ends_when_the_port_closes, url, other)
        assert answers[0].result().status_code == 201


def test_a_statement_that_takes_too_long_is_canceled(
    service: str, person: httpx.Client, database_url: str
) -> None:
    with psycopg.connect(database_url) as other, ThreadPoolExecutor() as threads:
        other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        read = threads.submit(person.get, "/tasks")
        write = threads.submit(person.post, "/tasks", json={"title": "canceled"})
        for response in (read.result(), write.result()):
            assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        active = (
            "SELECT FROM pg_stat_activity WHERE application_name = 'taskapi' AND state <> 'idle'"
        )
        assert other.execute(active).rowcount == 0
        other.rollback()
    assert "canceled" not in person.get("/tasks").text


def _until_waiting_for_a_lock(database_url: str) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    name = urlsplit(database_url).path.removeprefix("/")
    with psycopg.connect(database_url, autocommit=True) as connection:
        while not connection.execute(waiting, [name]).rowcount:
            pass


def _ends_when_the_port_closes(url: str, holder: psycopg.Connection[Any]) -> None:
    address = urlsplit(url)
    try:
        while True:
            socket.create_connection((address.hostname, address.port), timeout=5).close()
    except OSError:
        holder.rollback()


def test_a_stalled_body_returns_408(person: httpx.Client, service: str) -> None:
    address = urlsplit(service)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(_post(person, "Content-Length: 100\r\n", b'{"title":'))
        assert httpx.get(f"{service}/livez").status_code == 200
        answer = ""
        while not answer.endswith("}"):
            answer += connection.recv(65_536).decode()
    assert answer.startswith("HTTP/1.1 408 ")
    assert '"code":"request_timeout"' in answer


def test_an_unwanted_body_is_not_read_completely(service: str) -> None:
    address = urlsplit(service)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99000000000\r\n\r\n"
        )
        with pytest.raises(ConnectionError):
            _send_all(connection)
    assert httpx.get(f"{service}/livez").status_code == 200


def _send_all(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65_536)


def _is_closed_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the server closes a connection within this time."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def test_a_worker_has_no_more_connections_than_the_system_allows_files(database_url: str) -> None:
    with started(database_url, files=300, WEB_CONCURRENCY="1") as limited, ExitStack() as stack:
        address = urlsplit(limited.url)
        for _ in range(400):
            stack.enter_context(socket.create_connection((address.hostname, address.port), 10))
        with registered(limited.url) as newcomer:
            assert newcomer.get("/tasks").status_code == 200
        assert "Too many open files" not in limited.log.read_text()


def test_slow_clients_are_closed_and_block_no_other(person: httpx.Client, service: str) -> None:
    address = urlsplit(service)
    head = b"GET /tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    with ExitStack() as stack:
        author = stack.enter_context(registered(service))
        body = _post(author, "Content-Length: 100000\r\n", b'{"title": "')
        slow = [
            stack.enter_context(socket.create_connection((address.hostname, address.port), 30))
            for _ in range(400)
        ]
        for number, connection in enumerate(slow):
            connection.sendall(head if number % 2 else body)
        begun = time.monotonic()
        times = []
        while time.monotonic() < begun + 8:
            asked = time.monotonic()
            assert person.get("/tasks").status_code == 200
            times.append(time.monotonic() - asked)
            for connection in slow[:100]:
                with suppress(OSError):  # the machine was busy, and the service has closed it
                    connection.sendall(b"x")
        assert sorted(times)[len(times) * 99 // 100] < 0.5
        time.sleep(3)
        assert all(_is_closed_within(connection, 1) for connection in slow)
        assert time.monotonic() < begun + 15
    assert person.get("/tasks").json()["total"] == 0


def test_a_client_that_accepts_no_data_is_closed(person: httpx.Client, service: str) -> None:
    for _ in range(40):
        person.post("/tasks", json={"title": "x", "description": "x" * 10_000}).raise_for_status()
    address = urlsplit(service)
    request = (
        "GET /tasks HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {person.headers['Authorization']}\r\n\r\n"
    ).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((address.hostname, address.port))
        connection.sendall(request * 30)
        time.sleep(23)
        assert person.get("/livez").status_code == 200
        assert _is_closed_within(connection, 5)


def test_a_response_that_fails_midway_ends_its_connection(database_url: str) -> None:
    where = {"PYTHONPATH": str(Path(__file__).parent)}
    with serving(database_url, "breaking:app", WEB_CONCURRENCY="1", **where) as url:
        status, body = _exchange(url, b"GET /breaks HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (status, body) == (200, "first part")
        assert httpx.get(f"{url}/livez").status_code == 200
