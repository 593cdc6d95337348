"""Rate limits: what is counted, for whom, for how long, and in which storage."""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from support.api import PASSWORD, Api
from support.attempts import (
    is_limited,
    log_in,
    new_address,
    reauthenticate,
    refresh,
    register,
    used_up,
)
from support.contract import Contract
from support.world import person, sql, worker
from werkzeug.test import TestResponse

from config import Settings
from taskapi.auth import ratelimit

MINUTE, HOUR = 60, 3_600


@pytest.mark.parametrize(
    ("attempt", "number", "window"),
    [
        (lambda api, n, one: register(api, one), 30, HOUR),
        (lambda api, n, one: register(api, new_address(), api.email), 10, HOUR),
        (lambda api, n, one: log_in(api, address=one), 30, MINUTE),
        (lambda api, n, one: log_in(api, email=api.email, address=one), 10, MINUTE),
        (lambda api, n, one: refresh(api, f"tr_{n}", one), 120, MINUTE),
        (lambda api, n, one: refresh(api, api.login["refresh_token"], new_address()), 30, MINUTE),
        (lambda api, n, one: reauthenticate(api, n), 10, MINUTE),
    ],
    ids=[
        "register by address",
        "register by account",
        "login by address",
        "login by account",
        "refresh by address",
        "refresh by session",
        "reauthentication by account",
    ],
)
def test_a_limited_request_gets_retry_after(
    api: Api, attempt: Any, number: int, window: int
) -> None:
    address, numbers = new_address(), itertools.count()
    response = used_up(lambda: attempt(api, next(numbers), address), number)
    assert response.mimetype == "application/problem+json"
    problem = response.get_json()
    assert (problem["code"], problem["title"]) == ("rate_limited", "Too many requests")
    assert window - 60 < int(response.headers["Retry-After"]) <= window
    assert is_limited(attempt(api, next(numbers), address))


def test_password_confirmation_is_limited_by_address(
    limited: Flask, contract: Contract, anonymous: Api
) -> None:
    address = new_address()
    for _ in range(3):
        one = person(limited, contract, Api(anonymous.client, contract).registered())
        assert not any(is_limited(reauthenticate(one, n, address)) for n in range(10))
    another = person(limited, contract, Api(anonymous.client, contract).registered())
    assert is_limited(reauthenticate(another, 0, address))
    assert not is_limited(reauthenticate(another, 0))


def test_the_limit_also_applies_to_the_right_password(api: Api) -> None:
    address = new_address()
    used_up(lambda: log_in(api, api.email, address=address), 10)
    assert is_limited(log_in(api, api.email, PASSWORD, address))
    api.expect(200, "GET", "/tasks")


def test_limits_do_not_affect_other_accounts_and_addresses(api: Api, stranger: Api) -> None:
    address = new_address()
    used_up(lambda: log_in(api, api.email, address=address), 10)
    assert log_in(api, stranger.email, PASSWORD, address).status_code == 200
    address = new_address()
    used_up(lambda: log_in(api, address=address), 30)
    assert is_limited(log_in(api, stranger.email, PASSWORD, address))
    assert log_in(api, stranger.email, PASSWORD).status_code == 200
    assert not is_limited(register(api, address))


def test_an_attempt_rejected_for_its_address_does_not_count_for_the_account(
    api: Api, stranger: Api
) -> None:
    address = new_address()
    used_up(lambda: log_in(api, address=address), 30)
    for _ in range(15):
        assert is_limited(log_in(api, stranger.email, PASSWORD, address))
    assert log_in(api, stranger.email, PASSWORD).status_code == 200


def test_workers_share_the_counters(settings: Settings, api: Api, contract: Contract) -> None:
    with worker(settings, ratelimit_enabled=True) as second:
        address = new_address()
        apis = itertools.cycle([api, person(second, contract, api)])
        used_up(lambda: log_in(next(apis), api.email, address=address), 10)
        assert is_limited(log_in(next(apis), api.email, address=address))
        assert is_limited(log_in(next(apis), api.email, address=address))


@pytest.mark.parametrize("spelled", [str.upper, str.title, str.swapcase])
def test_case_variants_of_an_email_share_a_counter(api: Api, spelled: Any) -> None:
    address = new_address()
    spellings = itertools.cycle([api.email, spelled(api.email)])
    used_up(lambda: log_in(api, next(spellings), address=address), 10)
    assert is_limited(log_in(api, spelled(api.email), address=address))


def test_an_ipv6_network_counts_as_one_address(api: Api) -> None:
    hosts = (f"2001:db8:5:7::{number:x}" for number in itertools.count(1))
    used_up(lambda: log_in(api, address=next(hosts)), 30)
    assert is_limited(log_in(api, address="2001:db8:5:7:ffff::1"))
    # The /64 next to it, which has its first 63 bits in common, and one further away.
    for neighbour in ("2001:db8:5:6::1", "2001:db8:5:8::1"):
        assert not is_limited(log_in(api, address=neighbour))


def test_an_ipv4_mapped_address_counts_as_its_ipv4_address(api: Api) -> None:
    address = new_address()
    spellings = itertools.cycle([address, f"::ffff:{address}"])
    used_up(lambda: log_in(api, address=next(spellings)), 30)
    assert not is_limited(log_in(api, address=f"::ffff:{new_address()}"))


def test_a_forged_forwarded_header_does_not_change_the_address(api: Api) -> None:
    address = new_address()

    def attempt() -> TestResponse:
        forged = new_address()
        return log_in(
            api,
            address=address,
            HTTP_X_FORWARDED_FOR=forged,
            HTTP_X_REAL_IP=forged,
            HTTP_FORWARDED=f"for={forged}",
            HTTP_CLIENT_IP=forged,
        )

    used_up(attempt, 30)


def test_behind_one_proxy_the_last_hop_counts(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with worker(settings, ratelimit_enabled=True, trusted_proxy_hops=1) as proxied:
        api = person(proxied, contract, user)
        proxy, client = new_address(), new_address()
        used_up(
            lambda: log_in(api, address=proxy, HTTP_X_FORWARDED_FOR=f"{new_address()}, {client}"),
            30,
        )
        assert not is_limited(
            log_in(api, address=proxy, HTTP_X_FORWARDED_FOR=f"{client}, {new_address()}")
        )
        response = log_in(
            api, user.email, PASSWORD, proxy, HTTP_X_FORWARDED_FOR="1.2.3.4, 203.0.113.9"
        )
        assert response.status_code == 200
    assert user.expect(200, "GET", "/auth/sessions")["sessions"][0]["address"] == "203.0.113.9"


@pytest.mark.parametrize("written", ["{address}:{port}", "[::ffff:{address}]:{port}"])
def test_the_port_of_a_forwarded_address_is_ignored(
    settings: Settings, user: Api, contract: Contract, written: str
) -> None:
    with worker(settings, ratelimit_enabled=True, trusted_proxy_hops=1) as proxied:
        api = person(proxied, contract, user)
        client, ports = new_address(), itertools.count(1_024)

        def attempt() -> TestResponse:
            forwarded = written.format(address=client, port=next(ports))
            return log_in(api, address=new_address(), HTTP_X_FORWARDED_FOR=forwarded)

        used_up(attempt, 30)


def test_forged_refresh_tokens_do_not_count_for_the_session(api: Api) -> None:
    """Session IDs can be guessed, so a forged token must not use up the owner's attempts."""
    genuine = api.login["refresh_token"]
    numbers = base64.urlsafe_b64decode(genuine.removeprefix("tr_"))[:16]
    for _ in range(31):
        packed = numbers + secrets.token_bytes(50)
        made_up = "tr_" + base64.urlsafe_b64encode(packed).decode()
        assert refresh(api, made_up, new_address()).status_code == 401
    assert refresh(api, genuine, new_address()).status_code == 200


def test_the_counter_starts_again_after_its_window(settings: Settings, api: Api) -> None:
    address = new_address()
    used_up(lambda: log_in(api, api.email, address=address), 10)
    sql(settings, "UPDATE rate_limits SET expires_at = now() + interval '5 seconds'")
    response = log_in(api, api.email, address=address)
    assert 1 <= int(response.headers["Retry-After"]) <= 5
    sql(settings, "UPDATE rate_limits SET expires_at = now()")
    response = used_up(lambda: log_in(api, api.email, address=address), 10)
    assert int(response.headers["Retry-After"]) > 5


def test_expired_counters_are_purged(
    settings: Settings, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ratelimit, "PURGE_ONE_IN", 10**9)
    log_in(api, api.email)
    sql(settings, "UPDATE rate_limits SET expires_at = now() - interval '1 second'")
    log_in(api, address="203.0.113.1")
    before = sql(settings, "SELECT key FROM rate_limits WHERE expires_at < now()")
    assert before
    monkeypatch.setattr(ratelimit, "PURGE_ONE_IN", 1)
    log_in(api, address="203.0.113.1")
    assert sql(settings, "SELECT key FROM rate_limits WHERE expires_at < now()") == []
    assert sql(settings, "SELECT count(*) > 0 FROM rate_limits") == [(True,)]


def test_counters_contain_neither_addresses_nor_emails(settings: Settings, api: Api) -> None:
    address = new_address()
    log_in(api, api.email, address=address)
    keys = str(sql(settings, "SELECT key FROM rate_limits"))
    assert "login-account" in keys
    assert "login-address" in keys
    assert api.email.partition("@")[0] not in keys
    assert address not in keys


def test_counters_can_be_stored_in_memory(
    settings: Settings, user: Api, contract: Contract
) -> None:
    sql(settings, "TRUNCATE rate_limits")
    changes = {"ratelimit_enabled": True, "ratelimit_storage_uri": "memory://"}
    with worker(settings, **changes) as one, worker(settings, **changes) as other:
        api = person(one, contract, user)
        address = new_address()
        response = used_up(lambda: log_in(api, user.email, address=address), 10)
        assert 1 <= int(response.headers["Retry-After"]) <= MINUTE
        assert not is_limited(log_in(person(other, contract), user.email, address=address))
    assert sql(settings, "SELECT key FROM rate_limits") == []


@contextmanager
def _out_of_order(settings: Settings) -> Iterator[None]:
    sql(settings, "ALTER TABLE rate_limits RENAME TO rate_limits_away")
    try:
        yield
    finally:
        sql(settings, "ALTER TABLE rate_limits_away RENAME TO rate_limits")


def test_logins_fail_if_attempts_cannot_be_counted(settings: Settings, api: Api) -> None:
    with _out_of_order(settings):
        response = log_in(api, api.email, PASSWORD)
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert response.get_json()["code"] == "unavailable"
        api.expect(200, "GET", "/tasks")
    assert log_in(api, api.email, PASSWORD).status_code == 200


def test_limits_can_be_turned_off(settings: Settings, user: Api) -> None:
    with _out_of_order(settings):
        for _ in range(35):
            assert log_in(user, user.email, address="203.0.113.2").status_code == 401
