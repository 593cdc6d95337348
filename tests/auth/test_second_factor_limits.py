"""Limits on codes of the app: by account, with limits of their own for devices and sessions."""

from __future__ import annotations

import pytest
from support.api import PASSWORD, Api
from support.attempts import is_limited, new_address, send, used_up
from support.factor import Factor, code_of, enabled, enroll
from support.world import sql
from werkzeug.test import TestResponse

from config import Settings

WRONG = "000000"
NEW_HOUR = "DELETE FROM rate_limits WHERE key LIKE '%%second-factor/%%/10/1/hour'"


@pytest.fixture(autouse=True)
def _uncounted(settings: Settings) -> None:
    sql(settings, "DELETE FROM rate_limits")


@pytest.fixture
def factor(api: Api) -> Factor:
    return enabled(api)


def log_in(api: Api, code: str | None, **changes: str) -> TestResponse:
    """A login from another network each time."""
    body = {"email": api.email, "password": PASSWORD, **changes} | ({"code": code} if code else {})
    return send(api, "/auth/login", body, new_address())


def log_in_again(api: Api, code: str) -> TestResponse:
    """A login of a device that the account knows."""
    return log_in(api, code, refresh_token=api.login["refresh_token"])


def replace(api: Api, code: str) -> TestResponse:
    body = {"password": PASSWORD, "code": code}
    return send(api, "/auth/second-factor/recovery-codes", body, new_address())


def test_an_account_has_ten_codes_per_hour_from_all_networks(api: Api, factor: Factor) -> None:
    refused = used_up(lambda: log_in(api, WRONG), 10)
    assert 0 < int(refused.headers["Retry-After"]) <= 3_600
    assert is_limited(log_in(api, factor.code()))


def test_an_account_has_thirty_codes_per_day(settings: Settings, api: Api, factor: Factor) -> None:
    for _ in range(3):
        used_up(lambda: log_in(api, WRONG), 10)
        sql(settings, NEW_HOUR)
    refused = log_in(api, factor.code())
    assert is_limited(refused)
    assert int(refused.headers["Retry-After"]) > 3_600


def test_recovery_codes_work_while_codes_of_the_app_are_limited(api: Api, factor: Factor) -> None:
    used_up(lambda: log_in(api, WRONG), 10)
    assert log_in(api, factor.recovery_codes[0]).status_code == 200


def test_attempts_of_others_do_not_block_a_known_device(api: Api, factor: Factor) -> None:
    used_up(lambda: log_in(api, WRONG), 10)
    assert log_in_again(api, factor.code()).status_code == 200


def test_a_known_device_has_ten_codes_per_hour(
    settings: Settings, api: Api, factor: Factor
) -> None:
    for _ in range(10):
        sql(settings, "DELETE FROM rate_limits WHERE key LIKE '%%login-device/%%'")
        assert log_in_again(api, WRONG).status_code == 401
    sql(settings, "DELETE FROM rate_limits WHERE key LIKE '%%login-device/%%'")
    assert is_limited(log_in_again(api, factor.code()))
    assert log_in(api, factor.code()).status_code == 200


def test_attempts_of_others_do_not_block_sessions(api: Api, factor: Factor) -> None:
    used_up(lambda: log_in(api, WRONG), 10)
    api.expect(200, "GET", "/tasks")
    assert replace(api, factor.code()).status_code == 200
    body = {"refresh_token": api.login["refresh_token"]}
    api.expect(200, "POST", "/auth/refresh", json=body)


def test_a_session_has_ten_codes_per_hour(settings: Settings, api: Api, factor: Factor) -> None:
    other = Api(api.client, api.contract)
    other.email = api.email
    other.login = log_in(api, factor.recovery_codes[0]).get_json()
    for _ in range(10):
        sql(settings, "DELETE FROM rate_limits WHERE key LIKE '%%reauthenticate%%'")
        assert replace(api, WRONG).status_code == 400
    sql(settings, "DELETE FROM rate_limits WHERE key LIKE '%%reauthenticate%%'")
    assert is_limited(replace(api, factor.code()))
    assert replace(other, factor.code()).status_code == 200


def test_confirmations_are_limited(api: Api) -> None:
    secret = enroll(api)

    def confirm(code: str) -> TestResponse:
        return send(api, "/auth/second-factor/confirm", {"code": code}, new_address())

    used_up(lambda: confirm(WRONG), 10)
    assert is_limited(confirm(code_of(secret)))


def test_a_right_code_resets_the_attempts(api: Api, factor: Factor) -> None:
    for code in (factor.code(), factor.code(1)):
        for _ in range(9):
            assert log_in(api, WRONG).status_code == 401
        assert log_in(api, code).status_code == 200


def test_a_used_code_does_not_reset_the_attempts(api: Api, factor: Factor) -> None:
    code = factor.code()
    assert log_in(api, code).status_code == 200
    used_up(lambda: log_in(api, code), 10)


def test_logins_without_a_code_or_with_a_wrong_password_are_not_counted(
    api: Api, factor: Factor
) -> None:
    for _ in range(12):
        assert log_in(api, None).status_code == 401
        assert log_in(api, WRONG, password="wrong password").status_code == 401
    assert log_in(api, factor.code()).status_code == 200
