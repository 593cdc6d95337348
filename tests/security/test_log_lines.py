"""Log injection: each line is one object with the fields of the service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import quote

import httpx
import pytest
from support.api import PASSWORD
from support.attackers import client_of, exchange, log_in, records, registered
from support.servers import Service, started

pytestmark = pytest.mark.security

FORGED = '{"time":"2001-01-01T00:00:00Z","level":"ERROR","user_id":1,"message":"forged"}'
ENDS = {
    "a new line": "\n",
    "a carriage return": "\r",
    "both": "\r\n",
    "a line separator": "\u2028",
    "a paragraph separator": "\u2029",
    "a next line": "\x85",
    "a vertical tab": "\x0b",
    "an end of a string": '"}',
    "a further field": '","user_id":1,"x":"',
    "a colour": "\x1b[31m",
    "a title of a terminal": "\x1b]0;forged\x07",
    "a backspace": "\b" * 20,
    "NUL": "\0",
    "a right-to-left override": "\u202e",
    "a format": "%s%d%(message)s{0}",
    "5,000 characters": "x" * 5_000,
}
FIELDS = {
    *("time", "level", "logger", "message", "method", "route", "status", "duration_ms"),
    *("database_ms", "user_id", "request_id", "event", "email", "reason", "verb", "task_id"),
    *("error", "address", "sqlstate", "trace", "ended", "session_id", "problem"),
}


@pytest.fixture(params=["json", "text"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def services(private: str) -> Iterator[dict[str, Service]]:
    """One that logs JSON and one that logs text, both as much as they ever do."""
    settings = {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "debug"}
    with (
        started(private, LOG_FORMAT="json", **settings) as for_programs,
        started(private, LOG_FORMAT="text", **settings) as for_people,
    ):
        yield {"json": for_programs, "text": for_people}


def _send(service: Service, text: str) -> None:
    """The text in everything that is logged, or might be."""
    in_address, in_header = quote(text, safe=""), text.encode()
    with client_of(service) as client:
        person = registered(client)
        for email in (f"{text}@example.com", f"ada@{text}.com", f"{person.email}{text}", text):
            log_in(client, email, PASSWORD)
        log_in(client, person.email, text.ljust(8)[:100])
        client.get(f"/tasks/{in_address}", headers=person.headers)
        client.get(f"/{in_address}?{in_address}={in_address}")
        client.request("PURGE", f"/{in_address}")
    for name in ("X-Request-ID", "User-Agent", "X-Forwarded-For", "Origin", "Referer", "Host"):
        head = b"GET /tasks HTTP/1.1\r\nHost: x\r\n%s: " % name.encode()
        exchange(service, head + in_header + b"\r\nConnection: close\r\n\r\n")
    exchange(service, b"GET /" + in_header + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    exchange(service, in_header + b" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("name", ENDS)
def test_input_cannot_forge_log_lines_or_fields(
    services: dict[str, Service], form: str, name: str
) -> None:
    service = services[form]
    before = len(service.log.read_bytes())
    _send(service, f"x{ENDS[name]}{FORGED}")
    added = service.log.read_bytes()[before:].decode()
    assert added.endswith("\n")
    assert added.isascii()
    assert "forged" not in added.lower()
    lines = added[:-1].split("\n")
    assert added.splitlines() == lines
    assert all(len(line) < 2_000 for line in lines)
    assert all(_is_true(line) if form == "json" else line[2] == ":" for line in lines)


def _is_true(line: str) -> bool:
    """Whether a line is one object whose fields are ours, each named once."""
    names: list[str] = []

    def note(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names.extend(name for name, _ in pairs)
        return dict(pairs)

    record = json.loads(line, object_pairs_hook=note)
    assert len(names) == len(set(names))
    assert set(names) <= FIELDS
    return bool(record["level"] in ("INFO", "WARNING")) and not record["time"].startswith("2001")


def test_all_output_is_json_from_the_first_line(
    new_database: Callable[[], str],
) -> None:
    with started(new_database(), LOG_LEVEL="debug") as service:
        httpx.get(f"{service.url}/tasks")
        found = records(service)
    assert {"gunicorn.error", "taskapi.request"} <= {record["logger"] for record in found}
