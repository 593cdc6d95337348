"""Idempotency keys of account operations: a repeated request creates one session."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from werkzeug.test import TestResponse

from config import Settings
from taskapi.auth.tokens import parse_refresh_token

KEY = "0f6f5f5c-7d0e-4a3c-9f4e-0d3a2b1c4e5f"
ANOTHER_PASSWORD = "staple 42 times"
PATIENCE = 20


def post(api: Api, path: str, body: dict[str, Any], key: str = KEY) -> TestResponse:
    return api.send("POST", path, json=body, headers={"Idempotency-Key": key})


def is_replay(response: TestResponse) -> bool:
    return response.headers.get("Idempotency-Replayed") == "true"


def credentials(api: Api) -> dict[str, str]:
    return {"email": api.email, "password": PASSWORD}


def session_count(settings: Settings, email: str) -> int:
    counted = "SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE email = %s"
    count: int = world.sql(settings, counted, email)[0][0]
    return count


def check_same(first: TestResponse, again: TestResponse, status: int) -> None:
    assert (first.status_code, is_replay(first)) == (status, False)
    assert (again.status_code, is_replay(again)) == (status, True)
    assert again.data == first.data
    assert again.headers["Cache-Control"] == "no-store"


def test_a_repeated_registration_returns_the_stored_response(
    anonymous: Api, settings: Settings
) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    first, again = (post(anonymous, "/auth/register", body) for _ in range(2))
    check_same(first, again, 201)
    assert session_count(settings, body["email"]) == 1
    anonymous.login = again.get_json()
    assert anonymous.expect(200, "GET", "/auth/me")["email"] == body["email"]
    without_key = anonymous.send("POST", "/auth/register", json=body)
    assert without_key.get_json()["code"] == "email_taken"


def test_a_repeated_login_creates_one_session(
    user: Api, anonymous: Api, settings: Settings
) -> None:
    first, again = (post(anonymous, "/auth/login", credentials(user)) for _ in range(2))
    check_same(first, again, 200)
    assert session_count(settings, user.email) == 2
    assert not is_replay(post(anonymous, "/auth/login", credentials(user), "another"))
    assert session_count(settings, user.email) == 3


def test_a_repeated_refresh_does_not_end_the_session(user: Api, settings: Settings) -> None:
    body = {"refresh_token": user.login["refresh_token"]}
    first = post(user, "/auth/refresh", body)
    later = "UPDATE sessions SET last_used_at = now() - interval '1 hour' WHERE user_id = %s"
    world.sql(settings, later, user.user_id)
    check_same(first, post(user, "/auth/refresh", body), 200)
    user.login = first.get_json()
    user.expect(200, "GET", "/auth/me")


def test_reuse_of_a_refresh_token_with_a_key_ends_the_session(
    user: Api, settings: Settings
) -> None:
    body = {"refresh_token": user.login["refresh_token"]}
    user.expect(200, "POST", "/auth/refresh", json=body)
    later = "UPDATE sessions SET last_used_at = now() - interval '1 hour' WHERE user_id = %s"
    world.sql(settings, later, user.user_id)
    assert post(user, "/auth/refresh", body).status_code == 401
    user.expect(401, "GET", "/auth/me")


def test_reuse_with_a_key_needs_one_connection(
    user: Api, settings: Settings, contract: Contract
) -> None:
    body = {"refresh_token": user.login["refresh_token"]}
    user.expect(200, "POST", "/auth/refresh", json=body)
    later = "UPDATE sessions SET last_used_at = now() - interval '1 hour' WHERE user_id = %s"
    world.sql(settings, later, user.user_id)
    with world.worker(settings, database_pool_size=1) as app:
        person = world.person(app, contract, like=user)
        assert post(person, "/auth/refresh", body).status_code == 401
        person.expect(401, "GET", "/auth/me")


def test_a_repeated_password_change_returns_the_stored_response(user: Api) -> None:
    body = {"current_password": PASSWORD, "new_password": ANOTHER_PASSWORD}
    first, again = (post(user, "/auth/password", body) for _ in range(2))
    check_same(first, again, 200)
    without_key = user.send("POST", "/auth/password", json=body)
    assert without_key.get_json()["code"] == "wrong_password"
    other_key = post(user, "/auth/password", body, "another")
    assert other_key.get_json()["code"] == "wrong_password"


@pytest.mark.parametrize("path", ["/auth/register", "/auth/login"])
def test_a_wrong_password_gets_the_same_error_whether_or_not_the_key_was_used(
    user: Api, anonymous: Api, path: str
) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    if path == "/auth/login":
        body = credentials(user)
    assert post(anonymous, path, body).status_code < 300
    guess = body | {"password": "a guess of somebody"}
    expected = {"/auth/register": "email_taken", "/auth/login": "invalid_credentials"}
    for key in (KEY, "an-unused-key"):
        assert post(anonymous, path, guess, key).get_json()["code"] == expected[path]


@pytest.mark.parametrize("part", ["family", "secret"])
def test_a_forged_refresh_token_gets_the_same_error_whether_or_not_the_key_was_used(
    user: Api, part: str
) -> None:
    token = user.login["refresh_token"]
    assert post(user, "/auth/refresh", {"refresh_token": token}).status_code == 200
    found = parse_refresh_token(token)
    assert found
    forged = found._replace(**{part: b"x" * len(getattr(found, part))})
    for key in (KEY, "an-unused-key"):
        refused = post(user, "/auth/refresh", {"refresh_token": str(forged)}, key)
        code = "session_ended" if part == "secret" else "token_invalid"
        assert (refused.status_code, refused.get_json()["code"]) == (401, code)


def test_a_registration_is_not_replayed_with_a_password_that_was_changed(
    anonymous: Api, settings: Settings
) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    anonymous.login = post(anonymous, "/auth/register", body).get_json()
    change = {"current_password": PASSWORD, "new_password": ANOTHER_PASSWORD}
    anonymous.expect(200, "POST", "/auth/password", json=change)
    refused = post(anonymous, "/auth/register", body)
    assert (refused.status_code, refused.get_json()["code"]) == (400, "email_taken")
    assert session_count(settings, body["email"]) == 1


TWO_MINUTES = "UPDATE idempotency_keys SET expires_at = expires_at - interval '2 minutes'"


def test_a_refresh_is_replayed_for_two_minutes_then_it_ends_the_session(
    user: Api, settings: Settings
) -> None:
    body = {"refresh_token": user.login["refresh_token"]}
    user.login = post(user, "/auth/refresh", body).get_json()
    later = "UPDATE sessions SET last_used_at = now() - interval '1 hour' WHERE user_id = %s"
    world.sql(settings, later, user.user_id)
    assert is_replay(post(user, "/auth/refresh", body))
    world.sql(settings, f"{TWO_MINUTES} WHERE user_id = %s", user.user_id)
    assert post(user, "/auth/refresh", body).status_code == 401
    user.expect(401, "GET", "/auth/me")


def test_a_login_is_replayed_for_two_minutes(user: Api, anonymous: Api, settings: Settings) -> None:
    assert not is_replay(post(anonymous, "/auth/login", credentials(user)))
    assert is_replay(post(anonymous, "/auth/login", credentials(user)))
    world.sql(settings, f"{TWO_MINUTES} WHERE user_id = %s", user.user_id)
    assert not is_replay(post(anonymous, "/auth/login", credentials(user)))
    assert session_count(settings, user.email) == 3


def test_a_refresh_with_a_key_is_not_replayed_after_logout(user: Api) -> None:
    body = {"refresh_token": user.login["refresh_token"]}
    user.login = post(user, "/auth/refresh", body).get_json()
    user.expect(200, "POST", "/auth/logout")
    assert post(user, "/auth/refresh", body).status_code == 401


def test_a_key_cannot_be_used_for_another_operation(user: Api, anonymous: Api) -> None:
    assert post(anonymous, "/auth/login", credentials(user)).status_code == 200
    reused = post(user, "/tasks", {"title": "Another request"})
    assert (reused.status_code, reused.get_json()["code"]) == (422, "idempotency_key_reused")


def test_the_key_of_a_registration_in_progress_is_in_use(
    app: Flask, anonymous: Api, settings: Settings
) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    other = world.person(app, anonymous.contract)
    with (
        world.holding(settings, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE") as held,
        world.meanwhile(lambda: post(other, "/auth/register", body)) as first,
    ):
        world.until_blocked(settings, 1)
        busy = post(anonymous, "/auth/register", body)
        held.rollback()
        created = first.result(PATIENCE)
    assert (busy.status_code, busy.get_json()["code"]) == (409, "idempotency_key_in_use")
    assert created.status_code == 201
    assert post(anonymous, "/auth/register", body).data == created.data


def test_concurrent_registrations_create_one_account(
    app: Flask, anonymous: Api, settings: Settings
) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    people = [world.person(app, anonymous.contract) for _ in range(10)]
    answers = world.at_once([lambda api=api: post(api, "/auth/register", body) for api in people])
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = {answer.data for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert session_count(settings, body["email"]) == 1


def test_stored_responses_are_encrypted(anonymous: Api, settings: Settings) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    login = post(anonymous, "/auth/register", body).get_json()
    kept = "SELECT response FROM idempotency_keys WHERE user_id = %s"
    ((answer,),) = world.sql(settings, kept, login["user"]["id"])
    for secret in (login["access_token"], login["refresh_token"], PASSWORD, body["email"]):
        assert secret.encode() not in bytes(answer)
    garbled = "UPDATE idempotency_keys SET response = 'x' WHERE user_id = %s"
    world.sql(settings, garbled, login["user"]["id"])
    assert post(anonymous, "/auth/register", body).status_code == 422


def test_a_stored_response_can_be_read_while_its_key_is_still_accepted(
    anonymous: Api, settings: Settings
) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    first = post(anonymous, "/auth/register", body)
    rotated = {"jwt_secret_key": "n" * 40, "jwt_previous_secret_keys": (settings.jwt_secret_key,)}
    with world.worker(settings, **rotated) as app:
        again = post(world.person(app, anonymous.contract), "/auth/register", body)
    assert (again.status_code, again.data) == (201, first.data)


def test_failed_attempts_with_a_key_are_counted(
    settings: Settings, anonymous: Api, user: Api
) -> None:
    with world.worker(settings, ratelimit_enabled=True) as app:
        guesser = world.person(app, anonymous.contract, REMOTE_ADDR="192.0.2.77")
        body = {"email": user.email, "password": "a guess of somebody"}
        answers = [post(guesser, "/auth/login", body).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_a_wrong_password_and_an_unknown_email_get_the_same_error_with_a_key(
    anonymous: Api, user: Api
) -> None:
    unknown = {"email": new_email(), "password": PASSWORD}
    wrong = {"email": user.email, "password": "a guess of somebody"}
    answers = [post(anonymous, "/auth/login", body) for body in (unknown, wrong)]
    assert {answer.get_json()["code"] for answer in answers} == {"invalid_credentials"}
