"""Requests that two servers may parse differently, sent to gunicorn.

Each is rejected and its connection closed, or gets one response per request. A request that is
hidden in another is never performed, which the tasks show afterwards.
"""

from __future__ import annotations

import time

import httpx
import pytest
from hostile.raw import Answer, talk, titles, written

pytestmark = [pytest.mark.security, pytest.mark.processes]

CHUNKED = "Transfer-Encoding: chunked"
CLOSE = "Connection: close"
END = b"0\r\n\r\n"
REFUSALS = {400, 413, 414, 431}
SOON = 1.0


def _assert_rejected(responses: list[Answer]) -> None:
    (response,) = responses
    assert response.status in REFUSALS
    assert response.problem["status"] == response.status
    assert response.headers["connection"] == "close"


# Variants of the rest of a header line that says chunked.
OBFUSCATED = (
    *("Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked"),
    *("Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity", "Transfer-Encoding:"),
    *("Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked, chunked"),
    *(
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: chunked\x00",
        "Transfer-Encoding: \xa0chunked",
    ),
    *(
        "Transfer-Encoding: chunke",
        'Transfer-Encoding: "chunked"',
        "Transfer-Encoding: chunked;q=1",
    ),
    *(
        "Transfer-Encoding:\r\n chunked",
        " Transfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
    ),
    *(
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
    ),
    *("Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,"),
    *(
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    ),
    "Transfer-Encoding: chunked\r\nTransfer-encoding: identity",
    "Transfer-Encoding\x00: chunked",
)


@pytest.mark.parametrize("line", OBFUSCATED, ids=ascii)
@pytest.mark.parametrize("has_length", [True, False], ids=["with a length", "without"])
def test_a_possibly_chunked_body_hides_no_request(
    service: str, person: httpx.Client, line: str, has_length: bool
) -> None:
    hidden = written(person, "hidden")
    for body in (END + hidden, b"5\r\n{}   \r\n" + END + hidden, b"ffffffff\r\n" + hidden):
        sent = written(person, "", line, length=has_length, body=body)
        _assert_rejected(talk(service, sent, is_ended=True).responses)
    assert titles(person) == []


LENGTHS = (
    *("Content-Length: 0\r\nContent-Length: {true}", "Content-Length: {true}\r\nContent-Length: 0"),
    *("Content-Length: {true}\r\nContent-Length: {true}", "Content-Length: {true}, {true}"),
    *(
        "Content-Length: {true}, 0",
        "Content-Length: -1",
        "Content-Length: -{true}",
        "Content-Length: +{true}",
    ),
    *(
        "Content-Length: {hex}",
        "Content-Length: {true}.0",
        "Content-Length: {true}e0",
        "Content-Length:",
    ),
    *(
        "Content-Length: {true} 0",
        "Content-Length : {true}",
        "Content-Length\t: {true}",
        "Content-Length: 1_0",
    ),
    *(
        "Content-Length: \xb2",
        "Content-Length: {true}\x00",
        "Content-Length: \x0b{true}",
        'Content-Length: "{true}"',
    ),
    *("Content-Length:\r\n {true}", " Content-Length: {true}", "X: y\nContent-Length: {true}"),
    *("Content-Length: {endless}", "Content-Length: {true}\rX: y"),
    *(
        "Content-Length: {true}\r\nTransfer-Encoding: chunked",
        "Content\xadLength: {true}",
        "Content-Length: 0x0",
    ),
)


@pytest.mark.parametrize("line", LENGTHS, ids=ascii)
def test_an_ambiguous_length_hides_no_request(
    service: str, person: httpx.Client, line: str
) -> None:
    hidden = written(person, "hidden")
    true = len(hidden)
    filled = line.format(true=true, hex=hex(true), endless="9" * 5_000)
    for start in ("POST /tasks HTTP/1.1", "GET /tasks HTTP/1.1", "POST /auth/logout HTTP/1.1"):
        sent = written(person, "", filled, start=start, length=False, body=hidden)
        _assert_rejected(talk(service, sent, is_ended=True).responses)
    assert titles(person) == []


HEADS = (
    *(
        "X: a\nY: b",
        "X: a\rY: b",
        "X: a\x00b",
        "X: a\x7fb",
        "X: a\x1bb",
        "X: a\r\n b",
        "X: a\r\n\tb",
        "X a",
        "X",
        ":a",
    ),
    *(
        ": a",
        "X\x00: a",
        "X : a",
        "X\t: a",
        " X: a",
        "\tX: a",
        "X\xe9: a",
        "X y: a",
        "X(): a",
        "X\x01: a",
        "\r: a",
    ),
    *("Host: elsewhere", "host: localhost", "Content-Type: text/plain", "Expect: 200-ok"),
)


@pytest.mark.parametrize("line", HEADS, ids=ascii)
def test_a_malformed_header_section_is_rejected(
    service: str, person: httpx.Client, line: str
) -> None:
    sent = written(person, "refused", line) + written(person, "hidden")
    _assert_rejected(talk(service, sent, is_ended=True).responses)
    assert titles(person) == []


STARTS = (
    *("GET /tasks", "GET", "GET /tasks HTTP/0.9", "GET /tasks HTTP/2.0", "GET /tasks HTTP/1.10"),
    *("GET /tasks HTTP/1", "GET /tasks HTTP/1.1 ", "GET /tasks  HTTP/1.1", "GET  /tasks HTTP/1.1"),
    *(
        " GET /tasks HTTP/1.1",
        "GET\t/tasks HTTP/1.1",
        "GET /tasks http/1.1",
        "GET /tasks HTTP/1.1\x00",
    ),
    *(
        "GET /ta\x00sks HTTP/1.1",
        "GET /tas\xe9ks HTTP/1.1",
        "GET /tasks\x7f HTTP/1.1",
        "GET  HTTP/1.1",
    ),
    *(
        "GET * HTTP/1.1",
        "GET localhost HTTP/1.1",
        "GET localhost:80 HTTP/1.1",
        "GET tasks HTTP/1.1",
    ),
    *(
        "get /tasks HTTP/1.1",
        "G\x00T /tasks HTTP/1.1",
        "GET() /tasks HTTP/1.1",
        "A" * 30 + " /tasks HTTP/1.1",
    ),
    *(
        "PRI * HTTP/2.0",
        "HTTP/1.1 200 OK",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "\x00" * 20,
    ),
    *(
        "GET /tasks?" + "a" * 9_000 + " HTTP/1.1",
        "GET /" + "a" * 100_000 + " HTTP/1.1",
        "{}",
        "\n\n\nGET / HTTP/1.1",
    ),
)


@pytest.mark.parametrize("start", STARTS, ids=lambda start: ascii(start)[:50])
def test_a_malformed_request_line_is_rejected(
    service: str, person: httpx.Client, start: str
) -> None:
    sent = written(person, "refused", start=start) + written(person, "hidden")
    _assert_rejected(talk(service, sent, is_ended=True).responses)
    assert titles(person) == []


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost/tasks", 201),
        ("http://elsewhere.example/tasks", 201),
        ("http://localhost:80/tasks?", 201),
        ("http:///tasks", 201),
        ("//elsewhere.example/tasks", 404),
        ("/tasks/../tasks", 404),
        ("/./tasks", 404),
        ("/tasks;a=b", 404),
        ("/%74asks", 201),
        ("/tasks%2F", 404),
        ("/tasks%00", 404),
        ("/tasks#a", 201),
        ("/tasks?a=1#b", 400),
    ],
)
def test_each_form_of_request_target_is_one_request(
    service: str, person: httpx.Client, target: str, status: int
) -> None:
    sent = written(person, "one", CLOSE, start=f"POST {target} HTTP/1.1")
    assert talk(service, sent).statuses == [status]
    assert titles(person) == ["one"] * (status == 201)


@pytest.mark.parametrize("start", ["CONNECT localhost:80 HTTP/1.1", "CONNECT /tasks HTTP/1.1"])
def test_connect_is_rejected(service: str, person: httpx.Client, start: str) -> None:
    sent = written(person, "", start=start, body=b"") + written(person, "hidden")
    conversation = talk(service, sent)
    assert len(conversation.responses) == 1
    assert conversation.responses[0].status in (400, 404, 405)
    assert conversation.is_closed
    assert titles(person) == []


def test_pipelined_requests_are_answered_in_order(service: str, person: httpx.Client) -> None:
    names = [str(number) for number in range(30)]
    sent = b"".join(written(person, name) for name in names)
    for cut in (1, 7, len(sent)):
        before = titles(person)
        step = max(1, len(sent) // cut)
        pieces = [sent[place : place + step] for place in range(0, len(sent), step)]
        responses = talk(service, *pieces, written(person, "last", CLOSE)).responses
        assert [response.status for response in responses] == [201] * 31
        assert titles(person) == [*before, *names, "last"]


@pytest.mark.parametrize("start", ["GET /tasks", "GET /tasks/0", "POST /nowhere", "PUT /tasks"])
def test_an_unread_body_is_not_a_request(service: str, person: httpx.Client, start: str) -> None:
    hidden = written(person, "hidden")
    sent = written(person, "", start=f"{start} HTTP/1.1", body=hidden)
    conversation = talk(service, sent, written(person, "after"))
    assert len(conversation.responses) == 1
    assert conversation.is_closed
    chunks = f"{len(hidden):x}\r\n".encode() + hidden + b"\r\n" + END
    sent = written(person, "", CHUNKED, start=f"{start} HTTP/1.1", length=False, body=chunks)
    conversation = talk(service, sent, written(person, "after"))
    assert len(conversation.responses) == 1
    assert conversation.is_closed
    assert titles(person) == []


@pytest.mark.parametrize("start", ["GET /tasks", "POST /tasks", "POST /auth/logout"])
@pytest.mark.parametrize("length", [2**31, 2**63, 2**64, 10**30])
def test_no_request_follows_an_impossible_length(
    service: str, person: httpx.Client, start: str, length: int
) -> None:
    line = f"Content-Length: {length}"
    sent = written(person, "", line, start=f"{start} HTTP/1.1", length=False, body=b"")
    conversation = talk(service, sent, written(person, "hidden"))
    assert conversation.statuses == [200 if start == "GET /tasks" else 413]
    assert conversation.responses[0].headers["connection"] == "close"
    assert conversation.is_closed


MALFORMED_CHUNKS = (
    *(b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n"),
    *(b"0x2\r\n{}\r\n0\r\n\r\n", b"2\n{}\n0\n\n", b"2 \r\n{}\r\n0\r\n\r\n", b"\r\n", b"x\r\n"),
    *(b"2\r\n{}0\r\n\r\n", b"2\r\n{}\r\n", b"2\r\n{}\r\n0\r\n", b"2\r\n{}\r\n0\r\nX\r\n\r\n"),
    *(b"f" * 17 + b"\r\n{}", b"2;" + b"a" * 20_000 + b"\r\n{}\r\n0\r\n\r\n"),
    *(b"2;a\rb\r\n{}\r\n0\r\n\r\n", b""),
)


@pytest.mark.parametrize("chunks", MALFORMED_CHUNKS, ids=lambda chunks: ascii(chunks)[:40])
def test_malformed_chunks_are_rejected_and_hide_no_request(
    service: str, person: httpx.Client, chunks: bytes
) -> None:
    sent = written(person, "", CHUNKED, length=False, body=chunks) + written(person, "hidden")
    _assert_rejected(talk(service, sent, is_ended=True).responses)
    assert titles(person) == []


@pytest.mark.parametrize(
    "line", [CHUNKED, "Transfer-Encoding: CHUNKED", "transfer-encoding:chunked"]
)
@pytest.mark.parametrize(
    "frame",
    [
        "{half:x}\r\n{first}\r\n{rest:X}\r\n{second}\r\n0\r\n\r\n",
        "{half:x};a=b\r\n{first}\r\n00{rest:x} ; c\r\n{second}\r\n000\r\n\r\n",
        "{half:x}\r\n{first}\r\n{rest:x}\r\n{second}\r\n0;x\r\nX: y\r\nZ: 1\r\n\r\n",
    ],
    ids=["plain", "extensions", "trailers"],
)
def test_requests_follow_a_chunked_body(
    service: str, person: httpx.Client, line: str, frame: str
) -> None:
    body = '{"title": "one"}'
    first, second = body[:5], body[5:]
    chunks = frame.format(half=len(first), first=first, rest=len(second), second=second)
    sent = written(person, "", line, length=False, body=chunks.encode())
    conversation = talk(service, sent + sent, written(person, "two", CLOSE))
    assert conversation.statuses == [201] * 3
    assert titles(person) == ["one", "one", "two"]


@pytest.mark.parametrize("has_body", [True, False], ids=["sent at once", "kept back"])
def test_expect_100_continue_is_supported(
    service: str, person: httpx.Client, has_body: bool
) -> None:
    whole = written(person, "one", "Expect: 100-continue", CLOSE)
    head, separator, body = whole.partition(b"\r\n\r\n")
    conversation = talk(service, head + separator, body if has_body else b"", patience=SOON)
    assert conversation.statuses == ([100, 201] if has_body else [100])
    assert titles(person) == ["one"] * has_body


def test_expect_100_continue_with_too_large_a_body_is_rejected(
    service: str, person: httpx.Client
) -> None:
    sent = written(
        person, "", "Content-Length: 9999999", "Expect: 100-continue", length=False, body=b""
    )
    assert talk(service, sent).statuses[-1] == 413


@pytest.mark.parametrize(
    ("version", "line", "number"),
    [
        ("1.0", "X: y", 1),
        ("1.0", "Connection: keep-alive", 2),
        ("1.1", "X: y", 2),
        ("1.1", CLOSE, 1),
    ],
)
def test_connections_are_persistent_on_request(
    service: str, person: httpx.Client, version: str, line: str, number: int
) -> None:
    sent = written(person, "kept", line, start=f"POST /tasks HTTP/{version}")
    conversation = talk(service, sent, sent, patience=SOON)
    assert conversation.statuses == [201] * number
    assert conversation.is_closed == (number == 1)
    assert titles(person) == ["kept"] * number


@pytest.mark.parametrize(
    "lines", [("Upgrade: h2c", "HTTP2-Settings: AAMAAABk"), ("Upgrade: websocket",)]
)
def test_other_protocols_are_rejected(
    service: str, person: httpx.Client, lines: tuple[str, ...]
) -> None:
    sent = written(person, "one", "Connection: Upgrade", *lines)
    assert talk(service, sent, patience=SOON).statuses == [201]
    assert titles(person) == ["one"]


def test_a_request_requires_a_host_header(service: str, person: httpx.Client) -> None:
    sent = written(person, "one").replace(b"Host: localhost\r\n", b"")
    conversation = talk(service, sent, written(person, "hidden"))
    _assert_rejected(conversation.responses)
    assert conversation.is_closed
    old = sent.replace(b"HTTP/1.1", b"HTTP/1.0")  # HTTP/1.0 has no Host
    assert talk(service, old).statuses == [201]
    assert titles(person) == ["one"]


def test_the_service_still_works_afterwards(service: str, person: httpx.Client) -> None:
    begun = time.monotonic()
    assert httpx.get(f"{service}/readyz").status_code == 200
    assert person.post("/tasks", json={"title": "one"}).status_code == 201
    assert time.monotonic() - begun < SOON
