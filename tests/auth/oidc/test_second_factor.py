"""Sign-ins to accounts that have a second factor."""

from __future__ import annotations

from typing import Any

import pytest
from support.api import PASSWORD, Api
from support.factor import Factor, enabled
from support.signing_in import FrontEnd
from support.world import at_once, sql

from config import Settings


@pytest.fixture
def protected(front_end: FrontEnd, new_front_end: Any) -> tuple[Api, Factor]:
    """An account with an identity, a password and a second factor."""
    account = front_end.logged_in()
    body = new_front_end().body(new_password=PASSWORD)
    account.expect(200, "POST", "/auth/oidc/password", json=body)
    return account, enabled(account)


def _sessions(settings: Settings, account: Api) -> int:
    query = "SELECT count(*) FROM sessions WHERE user_id = %s AND revoked_at IS NULL"
    return int(sql(settings, query, account.user_id)[0][0])


def test_a_sign_in_needs_the_second_factor(
    settings: Settings, protected: tuple[Api, Factor], new_front_end: Any
) -> None:
    account, factor = protected
    front_end = new_front_end()
    body, before = front_end.body(), _sessions(settings, account)
    path = "/auth/oidc/token"
    front_end.api.problem(401, "second_factor_required", "POST", path, json=body)
    wrong = body | {"second_factor_code": "wrong"}
    front_end.api.problem(401, "second_factor_invalid", "POST", path, json=wrong)
    assert _sessions(settings, account) == before
    # The code of the sign-in is still valid, once.
    right = body | {"second_factor_code": factor.code()}
    assert front_end.api.expect(200, "POST", path, json=right)["user"]["id"] == account.user_id
    front_end.api.problem(400, "invalid_code", "POST", path, json=right)


def test_a_recovery_code_works_once(protected: tuple[Api, Factor], new_front_end: Any) -> None:
    _, factor = protected
    more = {"second_factor_code": factor.recovery_codes[0]}
    one, other = new_front_end(), new_front_end()
    one.api.expect(200, "POST", "/auth/oidc/token", json=one.body() | more)
    body = other.body() | more
    other.api.problem(401, "second_factor_invalid", "POST", "/auth/oidc/token", json=body)


def test_a_code_opens_one_session_however_often_it_is_sent(
    settings: Settings, protected: tuple[Api, Factor], new_front_end: Any
) -> None:
    account, factor = protected
    front_end, before = new_front_end(), _sessions(settings, account)
    body = front_end.body()
    calls = [
        lambda code=code: front_end.api.send(
            "POST", "/auth/oidc/token", json=body | {"second_factor_code": code}
        )
        for code in factor.recovery_codes[:4]
    ]
    assert sorted(response.status_code for response in at_once(calls)) == [200, 400, 400, 400]
    assert _sessions(settings, account) == before + 1
    # Only the successful request has used a recovery code.
    left = "SELECT cardinality(recovery_hashes) FROM second_factors WHERE user_id = %s"
    assert sql(settings, left, account.user_id) == [(len(factor.recovery_codes) - 1,)]


def test_an_identity_that_is_linked_by_its_email_needs_the_second_factor(
    settings: Settings, user: Api, example: Any, new_front_end: Any
) -> None:
    sql(settings, "UPDATE users SET email_verified = true WHERE id = %s", user.user_id)
    factor = enabled(user)
    example.user["email"] = user.email
    front_end = new_front_end()
    body = front_end.body()
    front_end.api.problem(401, "second_factor_required", "POST", "/auth/oidc/token", json=body)
    assert user.expect(200, "GET", "/auth/identities")["identities"] == []
    body |= {"second_factor_code": factor.code()}
    login = front_end.api.expect(200, "POST", "/auth/oidc/token", json=body)
    assert login["user"]["id"] == user.user_id
    assert len(user.expect(200, "GET", "/auth/identities")["identities"]) == 1
