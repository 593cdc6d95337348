"""Chunked bodies: the same limits of size and time as for bodies with a Content-Length."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from hostile.raw import talk, titles, written

from taskapi.http.bodies import MAX_BYTES
from taskapi.runtime import MAX_CHUNKS

pytestmark = pytest.mark.processes

CHUNKED = "Transfer-Encoding: chunked"


def _pieces(size: int, of: int, title: str = "chunked") -> Iterator[bytes]:
    body = json.dumps({"title": title}).encode().ljust(size)
    return (body[start : start + of] for start in range(0, size, of))


def _post(person: httpx.Client, pieces: Iterator[bytes]) -> httpx.Response:
    """httpx sends what it cannot measure in chunks."""
    return person.post("/tasks", content=pieces, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("size", "of"), [(30, 30), (30, 1), (20_000, 1_000), (8_000, 1), (MAX_BYTES, MAX_BYTES)]
)
def test_a_chunked_body_is_accepted_and_the_connection_is_reused(
    person: httpx.Client, size: int, of: int
) -> None:
    for _ in range(3):
        response = _post(person, _pieces(size, of))
        assert (response.status_code, response.headers["Connection"]) == (201, "keep-alive")
    assert titles(person) == ["chunked"] * 3


@pytest.mark.parametrize("pieces", [[], [b"{}"], [b"{", b"}"]], ids=["empty", "one", "two"])
def test_operations_without_fields_take_an_empty_chunked_body(
    person: httpx.Client, pieces: list[bytes]
) -> None:
    task = person.post("/tasks", json={"title": "chunked"}).json()
    headers = {"Content-Type": "application/json"}
    for method, path, status in (
        ("POST", f"/tasks/{task['id']}/complete", 200),
        ("DELETE", f"/tasks/{task['id']}", 204),
        ("POST", "/auth/logout", 200),
    ):
        response = person.request(method, path, content=iter(pieces), headers=headers)
        assert (response.status_code, response.headers["Connection"]) == (status, "keep-alive")


@pytest.mark.parametrize("of", [64, 1_000, MAX_BYTES])
def test_a_chunked_body_that_is_too_large_returns_413(person: httpx.Client, of: int) -> None:
    for _ in range(3):
        response = _post(person, _pieces(MAX_BYTES + 1, of))
        assert (response.status_code, response.json()["code"]) == (413, "content_too_large")
        assert response.headers["Connection"] == "close"
    assert titles(person) == []


def test_a_body_without_end_is_not_read(service: str, person: httpx.Client) -> None:
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    sent = written(person, "", CHUNKED, length=False, body=piece * 40)
    assert talk(service, sent).statuses == [413]


@pytest.mark.parametrize(
    ("chunks", "code"), [(MAX_CHUNKS - 2, "invalid_input"), (MAX_CHUNKS - 1, "malformed_body")]
)
def test_the_number_of_chunks_is_limited(
    service: str, person: httpx.Client, chunks: int, code: str
) -> None:
    body = b"1\r\n \r\n" * chunks + b"2\r\n{}\r\n0\r\n\r\n"
    sent = written(person, "", CHUNKED, length=False, body=body)
    (response,) = talk(service, sent, is_ended=True).responses
    assert (response.status, response.problem["code"]) == (400, code)
    assert (f"{MAX_CHUNKS:,} chunks" in response.problem["detail"]) == (code == "malformed_body")


def test_a_slow_chunked_body_returns_408(service: str, person: httpx.Client) -> None:
    """The client sends a chunk each second, so that no single wait is long."""

    def slowly() -> Iterator[bytes]:
        yield written(person, "", CHUNKED, length=False, body=b"")
        for _ in range(12):
            time.sleep(1)
            yield b"1\r\n \r\n"

    (response,) = talk(service, *slowly()).responses
    assert (response.status, response.problem["code"]) == (408, "request_timeout")
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize("size", [10, 20_000, 900_000])
def test_an_unread_chunked_body_closes_the_connection_after_the_response(
    service: str, size: int
) -> None:
    with httpx.Client(base_url=service, timeout=30) as client:
        for _ in range(10):
            response = _post(client, _pieces(size, 1_000))
            assert (response.status_code, response.headers["Connection"]) == (401, "close")
            assert client.get("/livez").status_code == 200


def test_senders_of_many_chunks_do_not_block_others(service: str, person: httpx.Client) -> None:
    extension = b";" + b"a" * 7_000
    body = (b"1" + extension + b"\r\n \r\n") * (MAX_CHUNKS + 1)
    sent = written(person, "", CHUNKED, length=False, body=body)
    is_over = threading.Event()

    def send() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                talk(service, sent)

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(10):
            assert person.get("/tasks").status_code == 200
            assert _post(person, _pieces(100, 10)).status_code == 201
    finally:
        is_over.set()
        for sender in senders:
            sender.join()
