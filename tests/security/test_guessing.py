"""Password guessing: attempts are counted across workers, restarts and disguises."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psycopg
import pytest
from support.api import PASSWORD, new_email
from support.attackers import client_of, each_worker, log_in, problem, registered, seen
from support.servers import Service, started

pytestmark = pytest.mark.security

PER_ACCOUNT, PER_ADDRESS, PER_ADDRESS_REGISTERING = 10, 30, 30
WINDOW = 60


@contextmanager
def _limited(database_url: str, **settings: str) -> Iterator[Service]:
    with started(
        database_url, WEB_CONCURRENCY="2", RATELIMIT_ENABLED="true", **settings
    ) as service:
        yield service


@pytest.fixture
def limited(new_database: Callable[[], str]) -> Iterator[Service]:
    with _limited(new_database()) as service:
        yield service


def _until_refused(attempt: Callable[[], httpx.Response], most: int) -> int:
    """The number of attempts before the first 429."""
    for number in range(most + 1):
        answer = attempt()
        if answer.status_code == 429:
            assert problem(answer, 429)["code"] == "rate_limited"
            assert 1 <= int(answer.headers["Retry-After"]) <= WINDOW
            return number
        assert answer.status_code == 401
    raise AssertionError(f"after {most} attempts there is no refusal")


def _guess(client: httpx.Client, email: str, **headers: str) -> httpx.Response:
    return log_in(client, email, "wrong password", **headers)


def test_guesses_are_counted_across_workers_and_restarts(new_database: Callable[[], str]) -> None:
    url = new_database()
    with _limited(url) as service, each_worker(service) as clients:
        email = registered(clients[0]).email
        turns = itertools.cycle(clients)
        assert _until_refused(lambda: _guess(next(turns), email), PER_ACCOUNT) == PER_ACCOUNT
        assert [_guess(client, email).status_code for client in clients] == [429, 429]
    with _limited(url) as service, each_worker(service) as clients:
        assert [_guess(client, email).status_code for client in clients] == [429, 429]


def test_a_limited_login_does_not_reveal_the_right_password(
    limited: Service,
) -> None:
    with client_of(limited) as client:
        email, unknown = registered(client).email, new_email()
        for one in (email, unknown):
            _until_refused(lambda one=one: _guess(client, one), PER_ACCOUNT)
        refusals = [
            seen(log_in(client, email, PASSWORD)),
            seen(log_in(client, email, "wrong password")),
            seen(log_in(client, unknown, PASSWORD)),
        ]
    assert refusals[0] == refusals[1] == refusals[2]
    assert refusals[0][0] == 429


def test_a_database_failure_does_not_roll_back_counters(new_database: Callable[[], str]) -> None:
    url = new_database()
    with _limited(url) as service, client_of(service) as client:
        email = registered(client).email
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE users RENAME email TO address")
            for _ in range(PER_ACCOUNT):
                problem(_guess(client, email), 500)
            connection.execute("ALTER TABLE users RENAME address TO email")
        problem(log_in(client, email, PASSWORD), 429)


FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP")


def _disguised(hosts: Iterator[str]) -> dict[str, str]:
    host = next(hosts)
    return {name: f"for={host}" if name == "Forwarded" else host for name in FORWARDED}


def test_without_a_proxy_forwarding_headers_are_ignored(limited: Service) -> None:
    hosts = (f"198.51.100.{number}" for number in itertools.count())
    with client_of(limited) as client:
        attempts = _until_refused(
            lambda: _guess(client, new_email(), **_disguised(hosts)), PER_ADDRESS
        )
    assert attempts == PER_ADDRESS


def test_behind_a_proxy_only_its_own_forwarding_header_counts(
    new_database: Callable[[], str],
) -> None:
    hosts = (f"198.51.100.{number}" for number in itertools.count())
    with _limited(new_database(), TRUSTED_PROXY_HOPS="1") as service, client_of(service) as client:

        def guess(client_host: str) -> httpx.Response:
            spoofed = _disguised(hosts) | {"X-Forwarded-For": f"{next(hosts)}, {client_host}"}
            return _guess(client, new_email(), **spoofed)

        assert _until_refused(lambda: guess("203.0.113.7"), PER_ADDRESS) == PER_ADDRESS
        assert guess("203.0.113.8").status_code == 401


SPELLINGS = {
    "upper case": str.upper,
    "title case": str.title,
    "a Kelvin sign for a k": lambda email: email.replace("k", "\N{KELVIN SIGN}"),
    "a long s": lambda email: email.replace("s", "\N{LATIN SMALL LETTER LONG S}"),
    "a dotted capital I": lambda email: email.replace(
        "i", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"
    ),
    "full width": lambda email: email.replace("k", "\N{FULLWIDTH LATIN SMALL LETTER K}"),
    "white space before": lambda email: f" {email}",
    "white space after": lambda email: f"{email} ",
    "a dot at the end": lambda email: f"{email}.",
    "a zero-width space": lambda email: email.replace("k", "k\N{ZERO WIDTH SPACE}"),
    "a combining mark": lambda email: email.replace("@", "\N{COMBINING ACUTE ACCENT}@"),
    "a soft hyphen": lambda email: email.replace("k", "k\N{SOFT HYPHEN}"),
    "a quoted name": lambda email: '"{}"@{}'.format(*email.split("@")),
}


def test_spellings_of_an_email_share_their_guesses(limited: Service) -> None:
    """A spelling names either the same account, whose guesses are used up, or none."""
    with ExitStack() as stack:
        client = stack.enter_context(client_of(limited))
        email = registered(client, "kiss@example.com").email
        _until_refused(lambda: _guess(client, email), PER_ACCOUNT)
        answers = {
            name: log_in(client, spelled(email), PASSWORD).status_code
            for name, spelled in SPELLINGS.items()
        }
    assert set(answers.values()) <= {400, 401, 429}
    same = {name for name, status in answers.items() if status == 429}
    assert same >= {"upper case", "title case", "a Kelvin sign for a k"}


def test_registrations_are_limited(limited: Service) -> None:
    with client_of(limited) as client:
        answers = [
            client.post("/auth/register", json={"email": new_email(), "password": PASSWORD})
            for _ in range(PER_ADDRESS_REGISTERING + 1)
        ]
    assert [answer.status_code for answer in answers[:-1]] == [201] * PER_ADDRESS_REGISTERING
    assert problem(answers[-1], 429)
