"""The cost of invalid bodies: none blocks the event loop for long or is echoed back.

Such a body needs no account: the login operation reads it before authentication.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.api import Api

pytestmark = pytest.mark.security

LARGEST = 256 * 1024
LARGEST_COST = 6
"""A multiple of the time of a million loop iterations, measured alongside. Usual is half."""

LARGEST_ANSWER = 64 * 1024


def _list(item: bytes, number: int) -> bytes:
    return b"[" + b",".join([item] * number) + b"]"


def _object(name: str, number: int) -> bytes:
    return b"{" + b",".join(f'"{name}{n:x}":0'.encode() for n in range(number)) + b"}"


def _below(way: bytes, value: bytes) -> bytes:
    return b'{"' + way + b'":' + value + b"}"


LONG = b"a" * 130_000
BODIES = {
    "names that no field has": _object("", 26_000),
    "names with NUL": _object("\\u0000", 15_000),
    "lists": _below(b"a", _list(b"[]", 80_000)),
    "numbers": _below(b"a", _list(b"9" * 4_000, 60)),
    "small numbers": _below(b"a", _list(b"1e-300", 30_000)),
    "texts with NUL": _below(b"email", _list(b'"\\u0000"', 25_000)),
    "texts with NUL far down": _below(
        b"email", b"[" * 900 + _list(b'"\\u0000"', 25_000) + b"]" * 900
    ),
    "escaped texts far down": _below(
        b"email", b"[" * 900 + _list(b'"\\u0001"', 25_000) + b"]" * 900
    ),
    "long names down to NUL": b'{"a":'
    + (b'{"' + b"a" * 240 + b'":') * 800
    + b'"\\u0000"'
    + b"}" * 801,
    "names with NUL below a long one": _below(LONG, _object("\\u0000", 6_000)),
    "escaped names below a long one": _below(LONG, _object("\\u0001", 6_000)),
    "numbers below a long name": _below(LONG, b'["\\u0001",' + _list(b"0", 60_000) + b"]"),
    "a long name": _below(b"a" * 260_000, b"0"),
    "a long name twice": b'{"' + LONG + b'":0,"' + LONG + b'":0}',
    "a long text": _below(b"email", b'"' + b"@" * 260_000 + b'"'),
    "a long address": _below(b"email", b'"' + b"a" * 130_000 + b"@" + b"a." * 65_000 + b'"'),
    "combining marks": _below(b"password", json.dumps("e" + "\u0323\u0301" * 20_000).encode()),
}


def _seconds(work: Callable[[], Any]) -> float:
    """The CPU time of this thread."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def _million_iterations() -> int:
    return sum(number % 7 for number in range(1_000_000))


@pytest.mark.parametrize("name", BODIES)
def test_an_invalid_body_is_cheap_to_reject(anonymous: Api, name: str) -> None:
    sent: dict[str, Any] = {"data": BODIES[name], "content_type": "application/json"}
    assert len(sent["data"]) <= LARGEST
    response = anonymous.client.post("/auth/login", **sent)
    costs = [
        _seconds(lambda: anonymous.client.post("/auth/login", **sent))
        / _seconds(_million_iterations)
        for _ in range(3)
    ]
    assert response.status_code == 400
    assert min(costs) < LARGEST_COST
    assert len(response.data) < LARGEST_ANSWER


@pytest.mark.parametrize("length", [1_000, 8_000])
def test_a_long_parameter_name_is_shortened_in_errors(anonymous: Api, length: int) -> None:
    response = anonymous.client.get(f"/?{'a' * length}=1")
    assert response.status_code == 400
    assert len(response.data) < 1_000
    assert response.get_json()["errors"][0]["pointer"] == "a" * 200 + "\u2026"
