"""Password resets: requested by anybody, made by who reads the mail."""

from __future__ import annotations

from functools import partial

import pytest
from support.api import PASSWORD, Api, new_email
from support.attempts import log_in, new_address, send, used_up
from support.factor import enabled
from support.mails import Mails
from support.world import at_once, sql
from werkzeug.test import TestResponse

from config import Settings

NEW_PASSWORD = "staple 42 times"


def forget(api: Api, email: str, address: str = "") -> TestResponse:
    return send(api, "/auth/password/forgot", {"email": email}, address or new_address())


def reset(api: Api, token: str, password: str = NEW_PASSWORD, address: str = "") -> TestResponse:
    body = {"token": token, "new_password": password}
    return send(api, "/auth/password/reset", body, address or new_address())


def link(api: Api, mails: Mails) -> str:
    """The token of a new link."""
    assert forget(api, api.email).status_code == 202
    return mails.token(api.email)


def code(response: TestResponse) -> str:
    assert response.status_code == 400
    return str(response.get_json()["code"])


def test_a_link_sets_a_new_password_and_ends_all_sessions(user: Api, mails: Mails) -> None:
    other = user.again()
    assert reset(user, link(user, mails)).get_json() == {"message": "Password reset"}
    for api in (user, other):
        api.problem(401, "session_ended", "GET", "/tasks")
        body = {"refresh_token": api.login["refresh_token"]}
        api.problem(401, "token_invalid", "POST", "/auth/refresh", json=body)
    assert log_in(user, user.email, PASSWORD).status_code == 401
    login = log_in(user, user.email, NEW_PASSWORD)
    assert login.get_json()["user"]["email_verified"] is True


def test_known_and_unknown_addresses_get_the_same_response(
    settings: Settings, user: Api, stranger: Api, mails: Mails
) -> None:
    sql(settings, "UPDATE users SET is_active = false WHERE id = %s", stranger.user_id)
    nobody = new_email()
    before = {email: mails.to(email) for email in (nobody, stranger.email)}
    answers = [forget(user, email) for email in (user.email, stranger.email, nobody)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.get_data() for answer in answers}) == 1
    assert {email: mails.to(email) for email in before} == before


def test_a_link_works_once_and_voids_the_others(user: Api, mails: Mails) -> None:
    first, second = link(user, mails), link(user, mails)
    assert reset(user, first).status_code == 200
    for token in (first, second):
        assert code(reset(user, token)) == "link_invalid"
    assert log_in(user, user.email, NEW_PASSWORD).status_code == 200


def test_a_link_is_valid_for_an_hour(settings: Settings, user: Api, mails: Mails) -> None:
    token = link(user, mails)
    left = "SELECT expires_at - now() FROM email_tokens WHERE user_id = %s AND purpose = 'reset'"
    ((remaining,),) = sql(settings, left, user.user_id)
    assert 3_000 < remaining.total_seconds() <= 3_600
    sql(settings, "UPDATE email_tokens SET expires_at = now() WHERE user_id = %s", user.user_id)
    assert code(reset(user, token)) == "link_invalid"
    assert log_in(user, user.email, PASSWORD).status_code == 200


@pytest.mark.parametrize("password", ["short", "x" * 101])
def test_the_new_password_is_validated_before_the_link_is_used(
    user: Api, mails: Mails, password: str
) -> None:
    token = link(user, mails)
    assert code(reset(user, token, password)) == "invalid_input"
    assert reset(user, token).status_code == 200


def test_of_concurrent_resets_one_succeeds(user: Api, mails: Mails) -> None:
    tokens = [link(user, mails), link(user, mails)]
    passwords = ["the first of two", "the second of two"]
    calls = [partial(reset, user, *pair) for pair in zip(tokens, passwords, strict=True)]
    assert sorted(answer.status_code for answer in at_once(calls)) == [200, 400]
    logged_in = [log_in(user, user.email, password).status_code for password in passwords]
    assert sorted(logged_in) == [200, 401]


def test_a_reset_voids_a_pending_change_of_the_email(user: Api, mails: Mails) -> None:
    """Somebody who knew the password may have requested it."""
    email = new_email()
    user.expect(202, "POST", "/auth/email", json={"new_email": email, "password": PASSWORD})
    confirmation = mails.token(email)
    assert reset(user, link(user, mails)).status_code == 200
    response = user.send("POST", "/auth/email/verify", json={"token": confirmation})
    assert code(response) == "link_invalid"


def test_a_change_of_the_password_voids_pending_changes_but_no_reset(
    user: Api, mails: Mails
) -> None:
    """Somebody with a session and the password cannot keep the owner of the address out."""
    email = new_email()
    user.expect(202, "POST", "/auth/email", json={"new_email": email, "password": PASSWORD})
    confirmation, token = mails.token(email), link(user, mails)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    user.expect(200, "POST", "/auth/password", json=body)
    response = user.send("POST", "/auth/email/verify", json={"token": confirmation})
    assert code(response) == "link_invalid"
    assert reset(user, token, "staple 43 times").status_code == 200
    assert log_in(user, user.email, "staple 43 times").status_code == 200


@pytest.mark.parametrize("is_proven", [True, False], ids=["verified", "unverified"])
def test_tokens_and_the_second_factor_survive_a_reset_if_the_owner_created_them(
    user: Api, mails: Mails, is_proven: bool
) -> None:
    """Before the email was verified, somebody else may have registered the account."""
    if is_proven:
        body = {"token": mails.token(user.email)}
        user.expect(200, "POST", "/auth/email/verify", json=body)
    script = user.with_token("tasks:read")
    enabled(user)
    assert reset(user, link(user, mails)).status_code == 200
    assert script.send("GET", "/tasks").status_code == (200 if is_proven else 401)
    assert log_in(user, user.email, NEW_PASSWORD).status_code == (401 if is_proven else 200)


def test_an_account_that_was_deactivated_meanwhile_is_not_reset(
    settings: Settings, user: Api, mails: Mails
) -> None:
    token = link(user, mails)
    sql(settings, "UPDATE users SET is_active = false WHERE id = %s", user.user_id)
    assert code(reset(user, token)) == "link_invalid"


def test_while_logins_are_limited_sessions_and_resets_work(limited: Api, mails: Mails) -> None:
    address = new_address()
    used_up(lambda: log_in(limited, limited.email, address=address), 10)
    limited.expect(200, "GET", "/tasks")
    assert forget(limited, limited.email, address).status_code == 202
    assert reset(limited, mails.token(limited.email), address=address).status_code == 200
    assert log_in(limited, limited.email, NEW_PASSWORD, address).status_code == 200


def test_a_reset_makes_the_devices_of_the_account_unknown(
    settings: Settings, limited: Api, mails: Mails
) -> None:
    """A device of a thief has no attempts of its own any more."""
    address, token = new_address(), limited.login["refresh_token"]
    assert reset(limited, link(limited, mails)).status_code == 200
    used_up(lambda: log_in(limited, limited.email, address=address), 10)
    body = {"email": limited.email, "password": NEW_PASSWORD, "refresh_token": token}
    assert send(limited, "/auth/login", body, address).status_code == 429


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_requests_are_limited_by_account(limited: Api, is_known: bool) -> None:
    email = limited.email if is_known else new_email()
    used_up(lambda: forget(limited, email), 4)


def test_a_limited_account_has_a_valid_link(limited: Api, mails: Mails) -> None:
    used_up(lambda: forget(limited, limited.email), 4)
    assert reset(limited, mails.token(limited.email)).status_code == 200


def test_requests_are_limited_by_network(limited: Api) -> None:
    address = new_address()
    used_up(lambda: forget(limited, new_email(), address), 30)


def test_uses_of_tokens_are_limited_by_network(limited: Api) -> None:
    address = new_address()
    used_up(lambda: reset(limited, "te_unknown", address=address), 60)
    assert code(reset(limited, "te_unknown")) == "link_invalid"
