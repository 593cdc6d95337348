"""The caller's account: its representation, a change of the password, deletion."""

from __future__ import annotations

from functools import partial

import pytest
from support.api import PASSWORD, Api
from support.contract import Contract
from support.world import at_once, holding, meanwhile, person, sql, until_blocked, worker
from werkzeug.test import TestResponse

from config import Settings

NEW_PASSWORD = "staple 42 times"
CHANGE = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}


def _lives(api: Api) -> bool:
    return api.send("GET", "/tasks").status_code == 200


def _log_in(api: Api, email: str, password: str) -> TestResponse:
    return api.send("POST", "/auth/login", json={"email": email, "password": password})


def _rows(settings: Settings, user_id: int) -> dict[str, int]:
    counted = {}
    keys = {"users": "id", "workspaces": "id", "sessions": "user_id", "tasks": "user_id"}
    for table, key in keys.items():
        found = sql(settings, f"SELECT count(*) FROM {table} WHERE {key} = %s", user_id)
        counted[table] = found[0][0]
    return counted


def test_me_returns_the_account_of_the_token(user: Api, stranger: Api) -> None:
    for api in (user, stranger):
        me = api.expect(200, "GET", "/auth/me")
        assert (me["id"], me["email"]) == (api.user_id, api.email)
        assert me.items() >= api.login["user"].items()


def test_changing_the_password_ends_all_other_sessions(
    settings: Settings, user: Api, anonymous: Api, contract: Contract
) -> None:
    other = user.again()
    with worker(settings) as app:
        elsewhere = person(app, contract, other)
        assert _lives(elsewhere)
        answer = user.expect(200, "POST", "/auth/password", json=CHANGE)
        assert answer == {"message": "Password changed"}
        assert not _lives(elsewhere)
    body = {"refresh_token": other.login["refresh_token"]}
    other.problem(401, "session_ended", "POST", "/auth/refresh", json=body)
    assert _lives(user)
    body = {"refresh_token": user.login["refresh_token"]}
    user.expect(200, "POST", "/auth/refresh", json=body)
    assert _log_in(anonymous, user.email, PASSWORD).status_code == 401
    assert _log_in(anonymous, user.email, NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("path", "pointer", "body"),
    [
        ("/auth/password", "/current_password", CHANGE | {"current_password": "wrong password"}),
        ("/auth/delete", "/password", {"password": "wrong password"}),
    ],
)
def test_a_wrong_password_changes_nothing(
    settings: Settings, user: Api, path: str, pointer: str, body: dict[str, str]
) -> None:
    user.task()
    before = sql(settings, "SELECT users::text FROM users WHERE id = %s", user.user_id)
    problem = user.problem(400, "wrong_password", "POST", path, json=body)
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [(pointer, "wrong_password")]
    assert sql(settings, "SELECT users::text FROM users WHERE id = %s", user.user_id) == before
    assert _rows(settings, user.user_id) == {"users": 1, "workspaces": 1, "sessions": 1, "tasks": 1}
    assert _lives(user)
    user.again()


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/current_password", "/new_password"}),
        (CHANGE | {"new_password": "short"}, {"/new_password"}),
        (CHANGE | {"new_password": "x" * 101}, {"/new_password"}),
        (CHANGE | {"new_password": None}, {"/new_password"}),
        (CHANGE | {"password": NEW_PASSWORD}, {"/password"}),
    ],
)
def test_a_new_password_is_validated_as_at_registration(
    user: Api, body: dict[str, str], pointers: set[str]
) -> None:
    problem = user.problem(400, "invalid_input", "POST", "/auth/password", json=body)
    assert {error["pointer"] for error in problem["errors"]} == pointers
    user.again()


def test_one_of_two_concurrent_password_changes_succeeds(user: Api) -> None:
    passwords = ["the first of two", "the second of two"]
    calls = [
        partial(Api.send, user, "POST", "/auth/password", json=CHANGE | {"new_password": password})
        for password in passwords
    ]
    answers = at_once(calls)
    assert any(answer.status_code == 200 for answer in answers)
    codes = {a.get_json()["code"] for a in answers if a.status_code != 200}
    assert codes <= {"wrong_password"}
    logged_in = [_log_in(user, user.email, password).status_code == 200 for password in passwords]
    assert sorted(logged_in) == [False, True]


def test_a_login_during_a_change_of_password_does_not_survive_it(
    settings: Settings, user: Api, anonymous: Api
) -> None:
    """The password is verified before the change, and the session would be created after it."""
    user.again()
    lock = "SELECT FROM sessions WHERE user_id = %s FOR UPDATE"
    log_in = partial(_log_in, anonymous, user.email, PASSWORD)
    change = partial(user.send, "POST", "/auth/password", json=CHANGE)
    with holding(settings, lock, user.user_id) as held, meanwhile(change) as changed:
        until_blocked(settings, 1)
        with meanwhile(log_in) as logged_in:
            until_blocked(settings, 2)
            held.commit()
    assert changed.result().status_code == 200
    assert logged_in.result().status_code == 401
    assert logged_in.result().get_json()["code"] == "invalid_credentials"
    assert user.expect(200, "GET", "/auth/sessions")["total"] == 1


def test_a_login_during_a_deactivation_does_not_survive_it(
    settings: Settings, user: Api, anonymous: Api
) -> None:
    log_in = partial(_log_in, anonymous, user.email, PASSWORD)
    deactivate = "UPDATE users SET is_active = false WHERE id = %s"
    with holding(settings, deactivate, user.user_id) as held, meanwhile(log_in) as logged_in:
        until_blocked(settings, 1)
        held.commit()
    assert logged_in.result().status_code == 401


def test_a_waiting_write_outlives_its_session_but_no_later_write_does(
    settings: Settings, user: Api
) -> None:
    """A write locks its workspace, not its session."""
    thief = user.again()
    write = partial(thief.send, "POST", "/tasks", json={"title": "Too late"})
    lock = "UPDATE workspaces SET updated_at = now() WHERE id = %s"
    with holding(settings, lock, user.user_id) as held, meanwhile(write) as written:
        until_blocked(settings, 1)
        revoke = "UPDATE sessions SET revoked_at = now() WHERE user_id = %s AND id <> %s"
        mine = min(s["id"] for s in user.expect(200, "GET", "/auth/sessions")["sessions"])
        held.execute(revoke, [user.user_id, mine])
        held.commit()
    assert written.result().status_code == 201
    thief.problem(401, "session_ended", "POST", "/tasks", json={"title": "Too late"})
    assert user.expect(200, "GET", "/tasks")["total"] == 1


def test_a_logout_during_a_password_change_does_not_keep_other_sessions_alive(
    settings: Settings, user: Api
) -> None:
    """A thief could end the owner's session just when the owner changes the password."""
    thief = user.again()
    change = partial(user.send, "POST", "/auth/password", json=CHANGE)
    lock = "SELECT FROM users WHERE id = %s FOR UPDATE"
    with holding(settings, lock, user.user_id) as held, meanwhile(change) as changed:
        until_blocked(settings, 1)
        user.expect(200, "POST", "/auth/logout")
        held.commit()
    assert changed.result().status_code == 200
    assert not _lives(thief)


def test_deleting_an_account_deletes_all_its_rows(
    settings: Settings, user: Api, stranger: Api, anonymous: Api
) -> None:
    other = user.again()
    for api in (user, user, stranger):
        api.task()
    assert _rows(settings, user.user_id) == {"users": 1, "workspaces": 1, "sessions": 2, "tasks": 2}
    assert user.expect(204, "POST", "/auth/delete", json={"password": PASSWORD}) is None
    assert _rows(settings, user.user_id) == dict.fromkeys(
        ("users", "workspaces", "sessions", "tasks"), 0
    )
    theirs = dict.fromkeys(("users", "workspaces", "sessions", "tasks"), 1)
    assert _rows(settings, stranger.user_id) == theirs
    for api in (user, other):
        api.problem(401, "session_ended", "GET", "/tasks")
        api.problem(401, "session_ended", "POST", "/tasks", json={"title": "Too late"})
        body = {"refresh_token": api.login["refresh_token"]}
        api.problem(401, "token_invalid", "POST", "/auth/refresh", json=body)
    assert _log_in(anonymous, user.email, PASSWORD).status_code == 401


def test_the_email_of_a_deleted_account_can_be_registered_again(user: Api, anonymous: Api) -> None:
    user.task()
    user.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    body = {"email": user.email, "password": NEW_PASSWORD}
    anonymous.login = anonymous.expect(201, "POST", "/auth/register", json=body)
    assert anonymous.user_id != user.user_id
    assert anonymous.expect(200, "GET", "/tasks")["total"] == 0
    assert not _lives(user)
