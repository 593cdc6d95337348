"""The limits of gunicorn on the parts of a request."""

from __future__ import annotations

import httpx
import pytest
from hostile.raw import talk, titles, written

pytestmark = [pytest.mark.security, pytest.mark.processes]

CLOSE = "Connection: close"


@pytest.mark.parametrize("number", [90, 101, 2_000])
def test_many_headers_are_accepted_or_rejected(
    service: str, person: httpx.Client, number: int
) -> None:
    sent = written(person, "one", CLOSE, *(f"X-{n}: y" for n in range(number)))
    assert talk(service, sent, is_ended=True).statuses == [201 if number < 96 else 431]
    assert titles(person) == ["one"] * (number < 96)


@pytest.mark.parametrize("length", [8_000, 8_190, 70_000, 2_000_000])
def test_a_long_header_is_accepted_or_rejected(
    service: str, person: httpx.Client, length: int
) -> None:
    sent = written(person, "one", CLOSE, "X: " + "y" * length)
    assert talk(service, sent, is_ended=True).statuses == [201 if length < 8_180 else 431]
    assert titles(person) == ["one"] * (length < 8_180)


@pytest.mark.parametrize("size", [300_000, 5_000_000])
def test_a_client_that_sends_too_much_receives_the_error(
    service: str, person: httpx.Client, size: int
) -> None:
    sent = written(person, "", body=b"x" * size)
    for _ in range(5):
        assert talk(service, sent).statuses == [413]
