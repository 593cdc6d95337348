"""Logins to an account with a second factor."""

from __future__ import annotations

import logging
from typing import Any

import bcrypt
import pytest
from flask import Flask
from support import world
from support.api import PASSWORD, Api, new_email
from support.factor import Factor, code_of, enabled, enroll

from config import Settings

PATIENCE = 20


@pytest.fixture
def factor(user: Api) -> Factor:
    return enabled(user)


def body_of(person: Api, **changes: Any) -> dict[str, Any]:
    return {"email": person.email, "password": PASSWORD} | changes


def log_in(person: Api, status: int, **changes: Any) -> dict[str, Any]:
    """The response to a login that must have this status."""
    found: dict[str, Any] = person.expect(
        status, "POST", "/auth/login", json=body_of(person, **changes)
    )
    return found


def refused(person: Api, code: object, expected: str = "second_factor_invalid") -> None:
    assert log_in(person, 401, code=code)["code"] == expected


def sessions(settings: Settings, person: Api) -> int:
    counted = "SELECT count(*) FROM sessions WHERE user_id = %s"
    return int(world.sql(settings, counted, person.user_id)[0][0])


def test_a_login_without_a_code_creates_no_session(
    settings: Settings, user: Api, factor: Factor
) -> None:
    for changes in ({}, {"code": None}):
        response = user.send("POST", "/auth/login", json=body_of(user, **changes))
        assert response.status_code == 401
        assert response.get_json()["code"] == "second_factor_required"
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="taskapi"'
    assert sessions(settings, user) == 1


def test_a_login_with_a_code_creates_a_session(user: Api, factor: Factor) -> None:
    login = log_in(user, 200, code=factor.code())
    assert login["user"] == user.login["user"]
    user.login = login
    user.expect(200, "GET", "/tasks")


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_the_clock_of_the_app_may_differ_by_one_step(
    settings: Settings, user: Api, factor: Factor, offset: int
) -> None:
    world.sql(settings, "UPDATE second_factors SET last_step = 1 WHERE user_id = %s", user.user_id)
    log_in(user, 200, code=factor.code(offset))


@pytest.mark.parametrize("offset", [-1_000, -3, 3, 1_000])
def test_codes_of_other_times_are_wrong(
    settings: Settings, user: Api, factor: Factor, offset: int
) -> None:
    world.sql(settings, "UPDATE second_factors SET last_step = 1 WHERE user_id = %s", user.user_id)
    refused(user, factor.code(offset))


def test_a_code_works_once(user: Api, factor: Factor) -> None:
    code = factor.code()
    log_in(user, 200, code=code)
    refused(user, code)


def test_the_code_of_a_confirmation_works_for_no_login(user: Api) -> None:
    code = code_of(enroll(user))
    user.expect(200, "POST", "/auth/second-factor/confirm", json={"code": code})
    refused(user, code)


def test_a_code_does_not_work_after_a_later_one(user: Api, factor: Factor) -> None:
    earlier = factor.code()
    log_in(user, 200, code=factor.code(1))
    refused(user, earlier)


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_a_code_works_once_in_concurrent_logins(
    app: Flask, settings: Settings, user: Api, factor: Factor, kind: str
) -> None:
    code = factor.code() if kind == "app" else factor.recovery_codes[0]
    people = [world.person(app, user.contract, user) for _ in range(8)]
    sent = {"json": body_of(user, code=code)}
    answers = world.at_once(
        [lambda api=api: api.send("POST", "/auth/login", **sent) for api in people]
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    assert sessions(settings, user) == 2


def test_each_recovery_code_works_once(user: Api, factor: Factor) -> None:
    for number, code in enumerate(factor.recovery_codes, 1):
        log_in(user, 200, code=code)
        left = user.expect(200, "GET", "/auth/me")["second_factor"]["recovery_codes_left"]
        assert left == 10 - number
        refused(user, code)
    log_in(user, 200, code=factor.code())


def test_codes_may_be_typed_with_spaces_hyphens_and_capitals(user: Api, factor: Factor) -> None:
    code = factor.code()
    log_in(user, 200, code=f" {code[:3]} {code[3:]}\n")
    one, other, third, *_ = factor.recovery_codes
    log_in(user, 200, code=one.upper())
    log_in(user, 200, code=other.replace("-", ""))
    log_in(user, 200, code=f"\u00a0{third.replace('-', ' - ')[:60]}")


@pytest.mark.parametrize(
    "code",
    ["0", "12345", "1234567", "١٢٣٤٥٦", "abc", "-", " ", "'; --", "🔑" * 6, "a" * 64, "ß" * 24],
    ids=ascii,
)
def test_a_malformed_code_is_wrong(user: Api, factor: Factor, code: str) -> None:
    refused(user, code)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("", "length"),
        ("1" * 65, "length"),
        (123_456, "not_a_string"),
        (["123456"], "not_a_string"),
        ({"code": "123456"}, "not_a_string"),
        ("12345\0", "invalid_text"),
    ],
    ids=repr,
)
def test_a_code_of_another_type_is_invalid(
    user: Api, factor: Factor, code: object, error: str
) -> None:
    assert [one["code"] for one in log_in(user, 400, code=code)["errors"]] == [error]


def test_a_wrong_password_gets_the_same_error_with_and_without_a_code(
    user: Api, factor: Factor, stranger: Api
) -> None:
    """Nothing is revealed about the second factor, or about the account, without the password."""
    found = []
    for email in (user.email, stranger.email, new_email()):
        for code in (None, "000000", factor.code(), factor.recovery_codes[0]):
            body = {"email": email, "password": "wrong password", "code": code}
            problem = user.expect(401, "POST", "/auth/login", json=body)
            del problem["request_id"]
            found.append(problem)
    assert all(problem == found[0] for problem in found)
    assert found[0]["code"] == "invalid_credentials"
    # The codes were not used.
    log_in(user, 200, code=factor.code())
    log_in(user, 200, code=factor.recovery_codes[0])


def test_an_account_without_a_second_factor_needs_no_code(user: Api) -> None:
    log_in(user, 200, code="000000")
    enroll(user)
    log_in(user, 200, code="000000")


def test_the_code_of_another_account_is_wrong(user: Api, stranger: Api, factor: Factor) -> None:
    other = enabled(stranger)
    refused(user, other.recovery_codes[0])
    log_in(stranger, 200, code=other.recovery_codes[0])


def test_a_login_to_a_deactivated_account_uses_no_code(
    settings: Settings, user: Api, factor: Factor
) -> None:
    change = "UPDATE users SET is_active = %s WHERE id = %s"
    world.sql(settings, change, False, user.user_id)
    code = factor.recovery_codes[0]
    assert log_in(user, 403, code=code)["code"] == "account_inactive"
    world.sql(settings, change, True, user.user_id)
    log_in(user, 200, code=code)


def test_a_login_that_fails_after_its_code_uses_no_code(
    settings: Settings, user: Api, factor: Factor
) -> None:
    change = "UPDATE users SET hashed_password = %s || hashed_password WHERE id = %s"
    code = factor.recovery_codes[0]
    with (
        world.holding(settings, change, "x", user.user_id) as held,
        world.meanwhile(lambda: log_in(user, 401, code=code)) as login,
    ):
        world.until_blocked(settings, 1)
        held.commit()
        assert login.result(PATIENCE)["code"] == "invalid_credentials"
    undo = "UPDATE users SET hashed_password = substr(hashed_password, 2) WHERE id = %s"
    world.sql(settings, undo, user.user_id)
    log_in(user, 200, code=code)


def test_a_login_in_progress_fails_when_the_second_factor_is_turned_on(
    settings: Settings, user: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(user)
    check = bcrypt.checkpw

    def confirming(password: bytes, hashed: bytes) -> bool:
        confirmed = "UPDATE second_factors SET confirmed_at = now() WHERE user_id = %s"
        world.sql(settings, confirmed, user.user_id)
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", confirming)
    assert log_in(user, 401)["code"] == "invalid_credentials"
    assert sessions(settings, user) == 1


@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_a_login_repeated_with_its_key_is_performed_once(
    settings: Settings, user: Api, anonymous: Api, factor: Factor, kind: str
) -> None:
    code = factor.code() if kind == "app" else factor.recovery_codes[0]
    headers = {"Idempotency-Key": "a-login"}

    def attempt(**changes: Any) -> Any:
        body = body_of(user, code=code, **changes)
        return anonymous.send("POST", "/auth/login", json=body, headers=headers)

    first, again = attempt(), attempt()
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.data == first.data
    assert again.headers["Idempotency-Replayed"] == "true"
    assert sessions(settings, user) == 2
    assert attempt(password="wrong password").get_json()["code"] == "invalid_credentials"


def test_a_key_does_not_replace_the_code(user: Api, anonymous: Api, factor: Factor) -> None:
    headers = {"Idempotency-Key": "a-login"}

    def attempt(**changes: Any) -> Any:
        body = body_of(user, **changes)
        return anonymous.send("POST", "/auth/login", json=body, headers=headers).get_json()

    assert "access_token" in attempt(code=factor.code())
    assert attempt()["code"] == "second_factor_required"
    assert attempt(code="000000")["code"] == "idempotency_key_reused"
    assert attempt(code=factor.recovery_codes[0])["code"] == "idempotency_key_reused"


def test_sessions_are_refreshed_without_a_code(user: Api, factor: Factor) -> None:
    body = {"refresh_token": user.login["refresh_token"]}
    user.login = user.expect(200, "POST", "/auth/refresh", json=body)
    user.expect(200, "GET", "/tasks")


def test_codes_and_secrets_are_not_logged(user: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        factor = enabled(user)
        code, recovery_code = factor.code(), factor.recovery_codes[0]
        for given in (code, code, recovery_code, recovery_code, "654-321"):
            user.send("POST", "/auth/login", json=body_of(user, code=given))
    lines = "\n".join(str(vars(record)) for record in caplog.records)
    assert "second_factor_enabled" in lines
    assert "recovery_code_used" in lines
    assert "second_factor_failed" in lines
    given = [code, factor.secret, *factor.recovery_codes, "654-321"]
    assert [secret for secret in given if secret in lines] == []
