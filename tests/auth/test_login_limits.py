"""Limits on logins: of an account and a network together, of known devices, of IPv6 networks."""

from __future__ import annotations

import itertools

import pytest
from support.api import PASSWORD, Api
from support.attempts import is_limited, log_in, new_address, send, used_up
from support.world import sql
from werkzeug.test import TestResponse

from config import Settings
from taskapi.auth.tokens import parse_refresh_token


def test_failures_from_other_networks_do_not_block_a_login(settings: Settings, api: Api) -> None:
    for _ in range(60):
        assert log_in(api, api.email).status_code == 401
    address = new_address()
    used_up(lambda: log_in(api, api.email, address=address), 10)
    assert log_in(api, api.email, PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("failures", "number", "wait"), [(100, 5, 300), (300, 2, 900), (1_000, 1, 3_600)]
)
def test_delays_grow_with_the_failures_of_the_account(
    settings: Settings, api: Api, failures: int, number: int, wait: int
) -> None:
    assert log_in(api, api.email).status_code == 401
    counted = "UPDATE rate_limits SET count = %s WHERE key LIKE '%%login-failures%%'"
    sql(settings, counted, failures)
    address = new_address()
    response = used_up(lambda: log_in(api, api.email, address=address), number)
    assert wait - 60 < int(response.headers["Retry-After"]) <= wait
    assert log_in(api, api.email, PASSWORD).status_code == 200


def test_a_successful_login_resets_the_failures_of_its_network(api: Api) -> None:
    address = new_address()
    for _ in range(2):
        for _ in range(9):
            assert log_in(api, api.email, address=address).status_code == 401
        assert log_in(api, api.email, PASSWORD, address).status_code == 200


def log_in_again(api: Api, token: str, password: str = PASSWORD, address: str = "") -> TestResponse:
    body = {"email": api.email, "password": password, "refresh_token": token}
    return send(api, "/auth/login", body, address or new_address())


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "ended"])
def test_failures_of_others_do_not_block_a_known_device(api: Api, is_live: bool) -> None:
    address, token = new_address(), api.login["refresh_token"]
    used_up(lambda: log_in(api, api.email, address=address), 10)
    used_up(lambda: log_in(api, address=address), 19)
    if not is_live:
        api.expect(200, "POST", "/auth/logout")
    assert log_in_again(api, token, address=address).status_code == 200


def test_a_known_device_has_ten_attempts_from_anywhere(api: Api) -> None:
    token = api.login["refresh_token"]
    used_up(lambda: log_in_again(api, token, "wrong password"), 10)
    assert is_limited(log_in_again(api, token))
    assert log_in(api, api.email, PASSWORD).status_code == 200


@pytest.mark.parametrize("kind", ["another account's", "forged", "malformed"])
def test_a_refresh_token_of_another_account_does_not_identify_a_device(
    api: Api, stranger: Api, kind: str
) -> None:
    own = parse_refresh_token(api.login["refresh_token"])
    assert own
    forged = str(own._replace(family=b"x" * len(own.family)))
    tokens = {"another account's": stranger.login["refresh_token"], "forged": forged}
    token, address = tokens.get(kind, "tr_malformed"), new_address()
    used_up(lambda: log_in_again(api, token, "wrong password", address), 10)
    assert is_limited(log_in_again(api, token, address=address))


@pytest.mark.parametrize(
    ("pattern", "number", "neighbour"),
    [
        ("2001:db8:64:7{:02x}::1", 60, "2001:db8:64:800::1"),
        ("2001:db8:65:{:x}00::1", 120, "2001:db8:66::1"),
    ],
    ids=["a /56", "a /48"],
)
def test_larger_networks_of_ipv6_have_limits_too(
    api: Api, pattern: str, number: int, neighbour: str
) -> None:
    hosts = (pattern.format(n) for n in itertools.count())
    used_up(lambda: log_in(api, address=next(hosts)), number)
    assert not is_limited(log_in(api, address=neighbour))


def test_larger_networks_of_ipv6_have_limits_for_an_account(api: Api) -> None:
    hosts = (f"2001:db8:67:7{n:02x}::1" for n in itertools.count())
    used_up(lambda: log_in(api, api.email, address=next(hosts)), 20)
    assert log_in(api, api.email, PASSWORD, "2001:db8:68::1").status_code == 200
