"""Verification of the email of an account."""

from __future__ import annotations

from functools import partial

import pytest
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.mails import Mails
from support.world import at_once, person, sql, worker

from config import Settings

AGED = "UPDATE email_tokens SET expires_at = now() WHERE user_id = %s"


def _verify(api: Api, token: str, status: int = 200) -> dict[str, object]:
    found: dict[str, object] = api.expect(
        status, "POST", "/auth/email/verify", json={"token": token}
    )
    return found


def _is_verified(api: Api) -> bool:
    return bool(api.expect(200, "GET", "/auth/me")["email_verified"])


def test_a_link_is_sent_after_registration_and_verifies_the_email(
    user: Api, anonymous: Api, mails: Mails
) -> None:
    assert user.login["user"]["email_verified"] is False
    assert not _is_verified(user)
    (token,) = mails.tokens(user.email)
    verified = _verify(anonymous, token)
    assert verified == user.login["user"] | {"email_verified": True}
    assert _is_verified(user)
    assert user.again().login["user"]["email_verified"] is True
    body = {"refresh_token": user.login["refresh_token"]}
    assert user.expect(200, "POST", "/auth/refresh", json=body)["user"]["email_verified"] is True


def test_a_link_works_once_until_it_expires(
    settings: Settings, user: Api, stranger: Api, mails: Mails
) -> None:
    token = mails.token(user.email)
    _verify(user, token)
    assert _verify(user, token, 400)["code"] == "link_invalid"
    expired = mails.token(stranger.email)
    sql(settings, AGED, stranger.user_id)
    assert _verify(user, expired, 400)["code"] == "link_invalid"
    assert not _is_verified(stranger)


def test_of_concurrent_uses_of_a_link_one_succeeds(user: Api, mails: Mails) -> None:
    token = mails.token(user.email)
    call = partial(user.send, "POST", "/auth/email/verify", json={"token": token})
    statuses = sorted(response.status_code for response in at_once([call] * 4))
    assert statuses == [200, 400, 400, 400]


@pytest.mark.parametrize("token", ["te_", "x", "te_" + "A" * 43, "tr_é", "\u2028" * 255])
def test_an_unknown_token_is_invalid(anonymous: Api, token: str) -> None:
    assert _verify(anonymous, token, 400)["code"] == "link_invalid"


def test_the_link_is_sent_again_until_the_email_is_verified(user: Api, mails: Mails) -> None:
    first = mails.token(user.email)
    user.expect(202, "POST", "/auth/email/verification")
    second = mails.token(user.email)
    assert first != second
    _verify(user, first)
    user.expect(202, "POST", "/auth/email/verification")
    assert mails.token(user.email) == second
    _verify(user, second)
    assert _is_verified(user)


def test_only_hashes_of_tokens_are_stored(settings: Settings, user: Api, mails: Mails) -> None:
    token = mails.token(user.email)
    (row,) = sql(
        settings, "SELECT email_tokens::text FROM email_tokens WHERE user_id = %s", user.user_id
    )
    assert token not in row[0]
    assert token.removeprefix("te_").encode().hex() not in row[0]


def test_links_do_not_depend_on_the_host_of_the_request(anonymous: Api, mails: Mails) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    headers = {"Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com"}
    anonymous.expect(201, "POST", "/auth/register", json=body, headers=headers)
    (link,) = mails.links(body["email"])
    assert link.startswith("http://localhost:8000/verify-email#token=te_")


def test_links_lead_to_the_front_end_if_there_is_one(
    settings: Settings, contract: Contract, user: Api
) -> None:
    with worker(settings, app_url="https://app.example.com") as app:
        user.expect(202, "POST", "/auth/password/forgot", json={"email": user.email})
        *_, link = Mails(app).links(user.email)
    assert link.startswith("https://app.example.com/reset-password?token=te_")


def test_a_read_only_field_sets_nothing(anonymous: Api) -> None:

    body = {"email": new_email(), "password": PASSWORD, "email_verified": True}
    login = anonymous.expect(201, "POST", "/auth/register", json=body)
    assert login["user"]["email_verified"] is False


def test_a_verified_email_can_be_required(
    settings: Settings, contract: Contract, user: Api, mails: Mails
) -> None:
    task = user.task()
    with worker(settings, require_verified_email=True) as app:
        api = person(app, contract, user)
        for method, path in (
            ("GET", "/tasks"),
            ("DELETE", f"/tasks/{task['id']}"),
            ("GET", "/lists"),
        ):
            api.problem(403, "email_not_verified", method, path)
        assert not _is_verified(api)
        api.expect(200, "GET", "/auth/sessions")
        script = api.with_token("tasks:read")
        script.problem(403, "email_not_verified", "GET", "/tasks")
        _verify(api, mails.token(user.email))
        assert script.expect(200, "GET", "/tasks")["total"] == 1
        api.expect(204, "DELETE", f"/tasks/{task['id']}")


def test_without_a_session_the_requirement_says_nothing(
    settings: Settings, contract: Contract, user: Api
) -> None:
    user.expect(200, "POST", "/auth/logout")
    with worker(settings, require_verified_email=True) as app:
        person(app, contract, user).problem(401, "session_ended", "GET", "/tasks")
        person(app, contract).problem(401, "authentication_required", "GET", "/tasks")
        person(app, contract).expect(200, "GET", "/")


def test_a_verified_user_needs_one_more_query_of_each_worker(
    settings: Settings, contract: Contract, user: Api, mails: Mails
) -> None:
    _verify(user, mails.token(user.email))
    with worker(settings, require_verified_email=True) as app:
        api = person(app, contract, user)
        api.expect(200, "GET", "/tasks")
        api.expect(200, "GET", "/tasks")
