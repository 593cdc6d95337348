"""Idempotency keys: a repeated request is performed once."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import Api
from support.calls import CALLS, Call, everything_of
from support.resources import filled_in
from werkzeug.test import TestResponse

from config import Settings
from taskapi.http import idempotency

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
BODY = {"title": "Water the plants", "description": "Twice"}
PATIENCE = 20


def post(api: Api, key: str = KEY, body: Any = None, **headers: str) -> TestResponse:
    return api.send("POST", "/tasks", json=body or BODY, headers={"Idempotency-Key": key} | headers)


def total(api: Api) -> int:
    count: int = api.expect(200, "GET", "/tasks")["total"]
    return count


def is_replay(response: TestResponse) -> bool:
    return response.headers.get("Idempotency-Replayed") == "true"


def test_a_repeated_request_returns_the_stored_response(user: Api) -> None:
    first = post(user)
    user.expect(200, "PATCH", first.headers["Location"], json={"title": "Changed meanwhile"})
    again = [post(user) for _ in range(3)]
    assert first.status_code == 201
    assert not is_replay(first)
    for response in again:
        assert is_replay(response)
        assert (response.status_code, response.data) == (201, first.data)
        for name in ("ETag", "Location", "Content-Type", "Cache-Control"):
            assert response.headers[name] == first.headers[name]
        assert response.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert total(user) == 1


def test_a_request_without_a_key_is_performed_each_time(user: Api) -> None:
    assert [user.send("POST", "/tasks", json=BODY).status_code for _ in range(2)] == [201, 201]
    assert total(user) == 2


def test_only_the_content_of_a_body_matters(user: Api) -> None:
    first = post(user, body={"title": "Same", "description": "too"})
    again = post(user, body={"description": "too", "title": "  Same ", "id": 7})
    assert (first.status_code, again.data) == (201, first.data)
    assert is_replay(again)


@pytest.mark.parametrize("other", [{"title": "Another"}, {"title": BODY["title"]}])
def test_another_request_needs_another_key(user: Api, other: dict[str, str]) -> None:
    post(user)
    refused = post(user, body=other)
    assert refused.status_code == 422
    assert refused.get_json()["code"] == "idempotency_key_reused"
    assert total(user) == 1


ON_ONE_ROW = [
    call for call in CALLS if call.arguments and "Idempotency-Key" in call.parameters("header")
]


@pytest.mark.parametrize("call", ON_ONE_ROW, ids=str)
def test_another_row_needs_another_key(user: Api, call: Call) -> None:
    """Without the path in the fingerprint, a second task would get the first one's response."""
    one, other = filled_in(call, user), filled_in(call, user)
    key = {"Idempotency-Key": KEY}
    other.body = one.body
    assert one.send(user, headers=key).status_code == call.status
    before = everything_of(user)
    refused = other.send(user, headers=key)
    assert (refused.status_code, refused.get_json()["code"]) == (422, "idempotency_key_reused")
    assert everything_of(user) == before
    assert is_replay(one.send(user, headers=key))


def test_another_action_on_the_same_task_needs_another_key(user: Api) -> None:
    path, sent = f"/tasks/{user.recurring()['id']}", {"headers": {"Idempotency-Key": KEY}}
    user.expect(200, "POST", f"{path}/complete", **sent)
    user.problem(422, "idempotency_key_reused", "POST", f"{path}/skip", **sent)


def test_keys_belong_to_an_account(user: Api, stranger: Api) -> None:
    assert post(user).get_json()["user_id"] == user.user_id
    theirs = post(stranger)
    assert theirs.get_json()["user_id"] == stranger.user_id
    assert not is_replay(theirs)


@pytest.mark.parametrize("part", ["COUNT", "INTERVAL"])
def test_a_rule_with_a_huge_number_has_a_fingerprint_too(user: Api, part: str) -> None:
    def send(number: int) -> TestResponse:
        body = {"title": "a", "due": {"date": "2026-01-01"}}
        body["recurrence"] = {"rrule": f"FREQ=DAILY;{part}={number}"}
        return user.send("POST", "/tasks", json=body, headers={"Idempotency-Key": "one"})

    first, again, other = send(2**64), send(2**64), send(2**64 + 1)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.get_json() == again.get_json()


def test_a_key_may_be_quoted(user: Api) -> None:
    assert post(user, f'"{KEY}"').data == post(user, KEY).data
    assert total(user) == 1


@pytest.mark.parametrize(
    "key", ["", " ", '"', '""', 'a"b', "a b", "a\\b", "x" * 256, "ä", '"a', "a\x7f", "a\0b"]
)
def test_a_malformed_key_returns_400(user: Api, key: str) -> None:
    environ = {"HTTP_IDEMPOTENCY_KEY": key}
    refused = user.send("POST", "/tasks", json=BODY, environ_overrides=environ)
    assert refused.status_code == 400
    (error,) = refused.get_json()["errors"]
    assert (error["pointer"], error["code"]) == ("Idempotency-Key", "invalid_idempotency_key")
    assert total(user) == 0


@pytest.mark.parametrize("key", ["x" * 255, '"a key, with = and spaces!"', "~"])
def test_any_other_key_is_accepted(user: Api, key: str) -> None:
    assert post(user, key).status_code == 201
    assert is_replay(post(user, key))


def test_a_key_is_for_one_value_of_if_match(user: Api) -> None:
    task = user.recurring()
    path, headers = f"/tasks/{task['id']}/complete", {"Idempotency-Key": KEY}
    first = user.send("POST", path, headers=headers | {"If-Match": f'"{task["version"]}"'})
    assert first.status_code == 200, first.get_data(as_text=True)
    user.problem(422, "idempotency_key_reused", "POST", path, headers=headers)


def test_an_error_is_not_stored(user: Api) -> None:
    assert post(user, body={"title": ""}).status_code == 400
    created = post(user)
    assert created.status_code == 201
    assert not is_replay(created)


def test_a_key_expires_after_a_day(settings: Settings, user: Api) -> None:
    post(user)
    post(user, "another")
    age = "UPDATE idempotency_keys SET expires_at = now() WHERE user_id = %s"
    world.sql(settings, age, user.user_id)
    assert not is_replay(post(user, body={"title": "Another request"}))
    statement = "SELECT key FROM idempotency_keys WHERE user_id = %s"
    assert world.sql(settings, statement, user.user_id) == [(KEY,)]
    assert total(user) == 3


def test_a_key_is_valid_for_a_whole_day(settings: Settings, user: Api) -> None:
    first = post(user)
    age = "UPDATE idempotency_keys SET expires_at = expires_at - interval '23 hours 58 minutes'"
    world.sql(settings, age)
    again = post(user)
    assert is_replay(again)
    assert again.data == first.data


def test_a_stored_response_is_returned_only_to_its_owner(user: Api) -> None:
    post(user)
    user.expect(200, "POST", "/auth/logout")
    refused = post(user)
    assert refused.status_code == 401
    assert refused.get_json()["code"] == "session_ended"


def test_keys_are_deleted_with_their_account(settings: Settings, user: Api) -> None:
    post(user)
    world.sql(settings, "DELETE FROM users WHERE id = %s", user.user_id)
    statement = "SELECT count(*) FROM idempotency_keys WHERE user_id = %s"
    assert world.sql(settings, statement, user.user_id) == [(0,)]


def test_a_key_is_in_use_while_its_request_is_in_progress(
    app: Flask, settings: Settings, user: Api
) -> None:
    person = world.person(app, user.contract, like=user)
    user.expect(200, "GET", "/tasks")
    with (
        world.holding(
            settings, "SELECT FROM workspaces WHERE id = %s FOR UPDATE", user.user_id
        ) as held,
        world.meanwhile(lambda: post(person)) as first,
    ):
        world.until_blocked(settings, 1)
        busy = post(user)
        assert busy.status_code == 409
        assert busy.get_json()["code"] == "idempotency_key_in_use"
        assert int(busy.headers["Retry-After"]) >= 1
        held.rollback()
        created = first.result(PATIENCE)
    assert created.status_code == 201
    assert post(user).data == created.data
    assert total(user) == 1


def test_the_bytes_of_stored_responses_are_limited(
    user: Api, stranger: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "BYTES_AT_ONCE", 600)
    long = {"title": "Long", "description": "x" * 2_000}
    first = post(user, "1", long)
    refused = post(user, "2", long)
    assert (refused.status_code, refused.get_json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) >= 1
    assert total(user) == 1
    assert post(user, "1", long).data == first.data
    user.task()
    assert post(stranger, "2", long).status_code == 201


def test_one_of_many_concurrent_requests_is_performed(app: Flask, user: Api) -> None:
    people = [world.person(app, user.contract, like=user) for _ in range(20)]
    responses = world.at_once([lambda api=api: post(api) for api in people])
    assert {response.status_code for response in responses} <= {201, 409}
    assert (
        sum(response.status_code == 201 and not is_replay(response) for response in responses) == 1
    )
    assert total(user) == 1


def test_a_repeated_write_whose_connection_broke_is_performed_once(
    app: Flask, settings: Settings, user: Api
) -> None:
    person = world.person(app, user.contract, like=user)
    cut = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with (
        world.holding(settings, "LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE"),
        world.meanwhile(lambda: post(person)) as first,
    ):
        world.until_blocked(settings, 1)
        world.sql(settings, cut)
        unknown = first.result(PATIENCE)
    assert (unknown.status_code, unknown.get_json()["code"]) == (503, "outcome_unknown")
    assert post(user).status_code == 201
    assert is_replay(post(user))
    assert total(user) == 1
