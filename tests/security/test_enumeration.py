"""A login reveals neither by its response nor by its duration who has an account."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
import psycopg
import pytest
from support.api import new_email
from support.attackers import client_of, log_in, registered, seen
from support.servers import Service, started

pytestmark = [pytest.mark.security, pytest.mark.alone]

ROUNDS = "10"
TURNS = 60
MOST_ROUNDS = 4
NEAR = 1.05
"""The longest median over the shortest."""


class Emails(NamedTuple):
    """One of each kind; none is logged in to with its password."""

    known: str
    inactive: str
    unknown: str


@pytest.fixture(scope="module")
def costly(new_database: Callable[[], str]) -> Iterator[tuple[Service, str]]:
    """The service with passwords that take a while, as they do in production; its database."""
    url = new_database()
    with started(url, WEB_CONCURRENCY="2", BCRYPT_ROUNDS=ROUNDS) as service:
        yield service, url


@pytest.fixture
def client(costly: tuple[Service, str]) -> Iterator[httpx.Client]:
    with client_of(costly[0]) as client:
        yield client


@pytest.fixture
def emails(costly: tuple[Service, str], client: httpx.Client) -> Emails:
    known, inactive = registered(client), registered(client)
    with psycopg.connect(costly[1], autocommit=True) as connection:
        connection.execute("UPDATE users SET is_active = false WHERE id = %s", [inactive.user_id])
    return Emails(known.email, inactive.email, new_email())


def test_all_failed_logins_get_the_same_response(client: httpx.Client, emails: Emails) -> None:
    refusals = [seen(log_in(client, email, "wrong password")) for email in emails]
    assert refusals[0] == refusals[1] == refusals[2]
    status, body, headers = refusals[0]
    assert (status, body["detail"]) == (401, "Invalid email or password")
    assert headers["www-authenticate"] == 'Bearer realm="taskapi"'


def test_all_failed_logins_take_the_same_time(
    client: httpx.Client, emails: Emails, record_property: Callable[[str, object], None]
) -> None:
    """When the machine is busy with something else, more turns even that out; no leak goes away."""
    times: dict[str, list[float]] = {email: [] for email in emails}
    for _ in range(MOST_ROUNDS):
        _take_turns(client, emails, times)
        medians = Emails(*(statistics.median(times[email]) for email in emails))
        if max(medians) / min(medians) < NEAR:
            break
    for name, median in medians._asdict().items():
        record_property(name, f"{median * 1000:.1f} ms")
    record_property("turns", len(times[emails.known]))
    assert max(medians) / min(medians) < NEAR


def _take_turns(client: httpx.Client, emails: Emails, times: dict[str, list[float]]) -> None:
    """Each is the first now and then, so that whatever slows the machine slows all."""
    for turn in range(TURNS):
        for email in emails[turn % 3 :] + emails[: turn % 3]:
            begun = time.perf_counter()
            answer = log_in(client, email, "wrong password")
            times[email].append(time.perf_counter() - begun)
            assert answer.status_code == 401
