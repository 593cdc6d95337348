"""Requests that wait for the lock of their account while its owner takes it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.factor import code_of, enabled, enroll
from support.mails import Mails, reset_token, undo_token
from support.provider import Provider
from support.world import holding, meanwhile, person, sql, until_blocked, worker
from werkzeug.test import TestResponse

from config import Settings

Send = Callable[[], TestResponse]

LOCK = "SELECT FROM users WHERE id = %s FOR UPDATE"
NEW_PASSWORD = "staple 42 times"
PATIENCE = 20


def post(api: Api, path: str, **body: str) -> Send:
    return lambda: api.send("POST", path, json=body)


def undo(user: Api) -> Send:
    return post(user, "/auth/email/undo", token=undo_token(user))


def reset(user: Api) -> Send:
    return post(user, "/auth/password/reset", token=reset_token(user), new_password=NEW_PASSWORD)


@pytest.fixture(params=["undo", "reset", "change_password"])
def recovery(
    request: pytest.FixtureRequest, settings: Settings, contract: Contract, user: Api
) -> Iterator[Send]:
    """What the owner does, while `user` is a thief who knows the password."""
    if request.param != "change_password":
        yield {"undo": undo, "reset": reset}[request.param](user)
        return
    passwords = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    with worker(settings) as app:  # a worker limits the concurrent writes of an account
        yield post(person(app, contract, like=user.again()), "/auth/password", **passwords)


def behind(settings: Settings, user: Api, recovery: Send, late: Send) -> TestResponse:
    """The response to a request that waits for the account behind one that succeeds."""
    with holding(settings, LOCK, user.user_id) as held, meanwhile(recovery) as recovered:
        until_blocked(settings, 1)
        with meanwhile(late) as response:
            until_blocked(settings, 2)
            held.commit()
            assert recovered.result(PATIENCE).status_code in (200, 204)
            return response.result(PATIENCE)


def behind_sql(settings: Settings, user: Api, change: str, late: Send) -> TestResponse:
    """The response to a request that waits for the account while this SQL changes it."""
    with holding(settings, LOCK, user.user_id) as held, meanwhile(late) as response:
        until_blocked(settings, 1)
        held.execute(change, [user.user_id])
        held.commit()
        return response.result(PATIENCE)


def refused(response: TestResponse, status: int, code: str) -> None:
    assert (response.status_code, response.get_json()["code"]) == (status, code)


def verify(settings: Settings, user: Api) -> None:
    sql(settings, "UPDATE users SET email_verified = true WHERE id = %s", user.user_id)


def identities_of(settings: Settings, user: Api) -> list[Any]:
    return sql(settings, "SELECT id FROM identities WHERE user_id = %s", user.user_id)


def test_no_identity_is_linked(
    settings: Settings, user: Api, new_front_end, recovery: Send
) -> None:
    verify(settings, user)
    late = post(user, "/auth/identities", **new_front_end().body(password=PASSWORD))
    refused(behind(settings, user, recovery, late), 401, "session_ended")
    assert identities_of(settings, user) == []


def test_no_identity_is_linked_with_a_password_that_has_changed(
    settings: Settings, user: Api, new_front_end
) -> None:
    verify(settings, user)
    late = post(user, "/auth/identities", **new_front_end().body(password=PASSWORD))
    change = "UPDATE users SET hashed_password = '' WHERE id = %s"
    refused(behind_sql(settings, user, change, late), 400, "wrong_password")
    assert identities_of(settings, user) == []


def test_an_identity_that_an_undo_removes_opens_no_session(
    settings: Settings, user: Api, other: Provider, new_front_end
) -> None:
    first = undo(user)
    linked = new_front_end(other.sign_in, "other").body(password=PASSWORD)
    user.expect(201, "POST", "/auth/identities", json=linked)
    front_end = new_front_end(other.sign_in, "other")
    late = post(front_end.api, "/auth/oidc/token", **front_end.body())
    refused(behind(settings, user, first, late), 403, "provider_email_not_verified")
    live = "SELECT id FROM sessions WHERE user_id = %s AND revoked_at IS NULL"
    assert sql(settings, live, user.user_id) == []


def test_an_identity_sets_no_password_after_a_reset(
    settings: Settings, user: Api, anonymous: Api, new_front_end
) -> None:
    verify(settings, user)
    linked = new_front_end().body(password=PASSWORD)
    user.expect(201, "POST", "/auth/identities", json=linked)
    first = reset(user)
    late = post(user, "/auth/oidc/password", **new_front_end().body(new_password="of the thief"))
    refused(behind(settings, user, first, late), 401, "session_ended")
    owner = {"email": user.email, "password": NEW_PASSWORD}
    anonymous.expect(200, "POST", "/auth/login", json=owner)


def test_no_identity_is_removed_by_a_session_that_has_ended(
    settings: Settings, user: Api, new_front_end
) -> None:
    verify(settings, user)
    linked = new_front_end().body(password=PASSWORD)
    identity = user.expect(201, "POST", "/auth/identities", json=linked)["id"]
    end = "UPDATE sessions SET revoked_at = now() WHERE user_id = %s"
    late = partial(user.send, "DELETE", f"/auth/identities/{identity}")
    refused(behind_sql(settings, user, end, late), 401, "session_ended")
    assert identities_of(settings, user) == [(identity,)]


def test_no_change_of_the_email_is_requested(
    settings: Settings, user: Api, mails: Mails, recovery: Send
) -> None:
    address = new_email()
    late = post(user, "/auth/email", new_email=address, password=PASSWORD)
    refused(behind(settings, user, recovery, late), 401, "session_ended")
    assert mails.tokens(address) == []


def test_no_second_factor_is_enrolled(settings: Settings, user: Api, recovery: Send) -> None:
    late = post(user, "/auth/second-factor", password=PASSWORD)
    refused(behind(settings, user, recovery, late), 401, "session_ended")
    assert sql(settings, "SELECT FROM second_factors WHERE user_id = %s", user.user_id) == []


def test_no_second_factor_is_turned_on_after_a_reset(settings: Settings, user: Api) -> None:
    verify(settings, user)
    first = reset(user)
    late = post(user, "/auth/second-factor/confirm", code=code_of(enroll(user)))
    refused(behind(settings, user, first, late), 401, "session_ended")
    confirmed = "SELECT confirmed_at FROM second_factors WHERE user_id = %s"
    assert sql(settings, confirmed, user.user_id) == [(None,)]


@pytest.mark.parametrize("operation", ["disable", "recovery-codes"])
def test_a_second_factor_is_not_changed_after_a_reset(
    settings: Settings, user: Api, operation: str
) -> None:
    verify(settings, user)
    first, factor = reset(user), enabled(user)
    stored = "SELECT recovery_hashes FROM second_factors WHERE user_id = %s"
    before = sql(settings, stored, user.user_id)
    path = f"/auth/second-factor/{operation}"
    late = post(user, path, password=PASSWORD, code=factor.recovery_codes[0])
    refused(behind(settings, user, first, late), 401, "session_ended")
    assert sql(settings, stored, user.user_id) == before


def test_no_login_without_a_code_succeeds_after_a_second_factor_is_turned_on(
    settings: Settings, user: Api, anonymous: Api
) -> None:
    enroll(user)
    late = post(anonymous, "/auth/login", email=user.email, password=PASSWORD)
    confirm = "UPDATE second_factors SET confirmed_at = now() WHERE user_id = %s"
    refused(behind_sql(settings, user, confirm, late), 401, "invalid_credentials")
