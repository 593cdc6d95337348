"""Changes of the email: confirmed by the new address, undone by the old one."""

from __future__ import annotations

from functools import partial

import pytest
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.factor import enabled
from support.mails import Mails
from support.world import at_once, sql
from werkzeug.test import TestResponse

from config import Settings

NEW_PASSWORD = "staple 42 times"


def request_change(api: Api, email: str = "") -> str:
    """Request a change and return the new address."""
    email = email or new_email()
    body = {"new_email": email, "password": PASSWORD}
    api.expect(202, "POST", "/auth/email", json=body)
    return email


def use(api: Api, operation: str, token: str) -> TestResponse:
    return api.send("POST", f"/auth/email/{operation}", json={"token": token})


def code(response: TestResponse) -> str:
    assert response.status_code == 400
    return str(response.get_json()["code"])


def change(api: Api, mails: Mails, email: str = "") -> str:
    """Change the email and return the new address."""
    email = request_change(api, email)
    assert use(api, "verify", mails.token(email)).status_code == 200
    return email


def log_in(api: Api, email: str, password: str = PASSWORD) -> TestResponse:
    return api.send("POST", "/auth/login", json={"email": email, "password": password})


def register(api: Api, email: str) -> TestResponse:
    return api.send("POST", "/auth/register", json={"email": email, "password": PASSWORD})


def test_a_change_takes_effect_when_the_new_address_is_confirmed(
    verified: Api, anonymous: Api, mails: Mails
) -> None:
    email = request_change(verified)
    assert verified.expect(200, "GET", "/auth/me")["email"] == verified.email
    assert log_in(anonymous, email).status_code == 401
    response = use(anonymous, "verify", mails.token(email))
    assert (response.status_code, response.get_json()["email"]) == (200, email)
    me = verified.expect(200, "GET", "/auth/me")
    assert (me["email"], me["email_verified"]) == (email, True)
    assert log_in(anonymous, email).status_code == 200
    assert log_in(anonymous, verified.email).status_code == 401


def test_a_change_requires_the_password(verified: Api, mails: Mails) -> None:
    email = new_email()
    body = {"new_email": email, "password": "wrong password"}
    verified.problem(400, "wrong_password", "POST", "/auth/email", json=body)
    assert mails.to(email) == []


def test_the_new_email_is_normalized_and_differs(verified: Api, mails: Mails) -> None:
    body = {"new_email": f" {verified.email.upper()} ", "password": PASSWORD}
    problem = verified.problem(400, "invalid_input", "POST", "/auth/email", json=body)
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("/new_email", "same_email")]


def test_a_change_back_cannot_be_undone_by_the_address_in_between(
    verified: Api, anonymous: Api, mails: Mails
) -> None:
    """Somebody who knew the password has changed the email, and the owner changes it back."""
    theirs = change(verified, mails)
    further = change(verified, mails)
    undo = mails.token(theirs)
    change(verified, mails, verified.email)
    (*_, notice) = mails.to(further)
    assert "token=" not in notice
    assert code(use(anonymous, "undo", undo)) == "link_invalid"
    assert verified.expect(200, "GET", "/auth/me")["email"] == verified.email
    assert register(anonymous, further).status_code == 201


def test_a_later_request_replaces_the_previous_one(verified: Api, mails: Mails) -> None:
    first = mails.token(request_change(verified))
    second = request_change(verified)
    assert code(use(verified, "verify", first)) == "link_invalid"
    assert use(verified, "verify", mails.token(second)).status_code == 200


def test_an_address_of_another_account_is_told_and_not_sent_a_link(
    verified: Api, stranger: Api, mails: Mails
) -> None:
    before = mails.to(stranger.email)
    request_change(verified, stranger.email)
    assert len(mails.to(stranger.email)) == len(before) + 1
    assert mails.tokens(stranger.email) == mails.tokens(stranger.email)[: len(before)]


def test_an_address_that_was_registered_meanwhile_is_not_taken_over(
    verified: Api, anonymous: Api, mails: Mails
) -> None:
    email = request_change(verified)
    token = mails.token(email)
    assert register(anonymous, email).status_code == 201
    assert code(use(verified, "verify", token)) == "email_taken"
    assert verified.expect(200, "GET", "/auth/me")["email"] == verified.email


def test_a_link_confirms_until_it_expires(settings: Settings, verified: Api, mails: Mails) -> None:
    token = mails.token(request_change(verified))
    aged = "UPDATE email_tokens SET expires_at = now() WHERE user_id = %s"
    sql(settings, aged, verified.user_id)
    assert code(use(verified, "verify", token)) == "link_invalid"


def test_the_old_address_restores_the_account(verified: Api, anonymous: Api, mails: Mails) -> None:
    email = change(verified, mails)
    undo = mails.token(verified.email)
    script = verified.with_token("tasks:read")
    assert use(anonymous, "undo", undo).status_code == 200
    verified.problem(401, "session_ended", "GET", "/auth/me")
    script.problem(401, "session_ended", "GET", "/tasks")
    for address in (email, verified.email):
        assert log_in(anonymous, address).status_code == 401
    body = {"token": mails.token(verified.email), "new_password": NEW_PASSWORD}
    anonymous.expect(200, "POST", "/auth/password/reset", json=body)
    response = log_in(anonymous, verified.email, NEW_PASSWORD)
    assert response.get_json()["user"]["id"] == verified.user_id
    assert code(use(anonymous, "undo", undo)) == "link_invalid"


@pytest.mark.parametrize("days", [0, 13, 15])
def test_an_undone_change_removes_a_second_factor_that_is_recent(
    settings: Settings, verified: Api, anonymous: Api, mails: Mails, days: int
) -> None:
    """Whoever changed the email may have turned it on. An older one is its owner's."""
    factor = enabled(verified)
    aged = "UPDATE second_factors SET confirmed_at = now() - %s * interval '1 day'"
    sql(settings, f"{aged} WHERE user_id = %s", days, verified.user_id)
    change(verified, mails)
    assert use(anonymous, "undo", mails.token(verified.email)).status_code == 200
    body = {"token": mails.token(verified.email), "new_password": NEW_PASSWORD}
    anonymous.expect(200, "POST", "/auth/password/reset", json=body)
    login = {"email": verified.email, "password": NEW_PASSWORD}
    anonymous.expect(200 if days < 14 else 401, "POST", "/auth/login", json=login)
    anonymous.expect(200, "POST", "/auth/login", json=login | {"code": factor.code()})


def test_the_old_address_is_reserved_for_seven_days(
    settings: Settings, verified: Api, stranger: Api, anonymous: Api, mails: Mails
) -> None:
    change(verified, mails)
    assert code(register(anonymous, verified.email)) == "email_taken"
    request_change(stranger, verified.email)
    left = "SELECT expires_at - now() FROM email_changes WHERE user_id = %s"
    ((remaining,),) = sql(settings, left, verified.user_id)
    assert 6 < remaining.total_seconds() / 86_400 <= 7
    undo = mails.token(verified.email)
    sql(
        settings, "UPDATE email_changes SET expires_at = now() WHERE user_id = %s", verified.user_id
    )
    sql(settings, "UPDATE email_tokens SET expires_at = now() WHERE user_id = %s", verified.user_id)
    assert code(use(anonymous, "undo", undo)) == "link_invalid"
    assert register(anonymous, verified.email).status_code == 201


def test_an_address_that_is_reserved_meanwhile_cannot_be_confirmed(
    settings: Settings, verified: Api, stranger: Api, mails: Mails
) -> None:
    """The link was sent before the other account left the address."""
    wanted = request_change(stranger)
    token = mails.token(wanted)
    change(verified, mails, "a" + wanted)
    renamed = "UPDATE email_changes SET old_email = %s WHERE user_id = %s"
    sql(settings, renamed, wanted, verified.user_id)
    assert code(use(stranger, "verify", token)) == "email_taken"


def test_the_account_itself_can_return_to_its_old_address(verified: Api, mails: Mails) -> None:
    change(verified, mails)
    change(verified, mails, verified.email)
    assert verified.expect(200, "GET", "/auth/me")["email"] == verified.email


def test_the_first_address_undoes_all_later_changes(
    verified: Api, anonymous: Api, mails: Mails
) -> None:
    second = change(verified, mails)
    change(verified, mails)
    later = mails.token(second)
    undo = mails.token(verified.email)
    assert use(anonymous, "undo", undo).status_code == 200
    assert code(use(anonymous, "undo", later)) == "link_invalid"
    body = {"token": mails.token(verified.email), "new_password": NEW_PASSWORD}
    anonymous.expect(200, "POST", "/auth/password/reset", json=body)
    assert log_in(anonymous, verified.email, NEW_PASSWORD).status_code == 200


def test_the_first_address_can_still_undo_after_the_second_did(
    verified: Api, anonymous: Api, mails: Mails
) -> None:
    second = change(verified, mails)
    change(verified, mails)
    first_undo = mails.token(verified.email)
    assert use(anonymous, "undo", mails.token(second)).status_code == 200
    assert use(anonymous, "undo", first_undo).status_code == 200


def test_a_password_reset_at_the_new_address_does_not_prevent_the_undo(
    verified: Api, anonymous: Api, mails: Mails
) -> None:
    email = change(verified, mails)
    undo = mails.token(verified.email)
    anonymous.expect(202, "POST", "/auth/password/forgot", json={"email": email})
    body = {"token": mails.token(email), "new_password": NEW_PASSWORD}
    anonymous.expect(200, "POST", "/auth/password/reset", json=body)
    assert use(anonymous, "undo", undo).status_code == 200
    assert log_in(anonymous, email, NEW_PASSWORD).status_code == 401


def test_an_unverified_old_address_is_told_but_cannot_undo(
    user: Api, anonymous: Api, mails: Mails
) -> None:
    """Its owner may be a stranger, whose address was mistyped."""
    before = mails.to(user.email)
    change(user, mails)
    assert len(mails.to(user.email)) == len(before) + 1
    assert len(mails.tokens(user.email)) == len(before)
    assert register(anonymous, user.email).status_code == 201


def test_a_change_voids_links_of_the_old_address(user: Api, anonymous: Api, mails: Mails) -> None:
    verification = mails.token(user.email)
    anonymous.expect(202, "POST", "/auth/password/forgot", json={"email": user.email})
    reset = mails.token(user.email)
    change(user, mails)
    assert code(use(anonymous, "verify", verification)) == "link_invalid"
    body = {"token": reset, "new_password": NEW_PASSWORD}
    anonymous.problem(400, "link_invalid", "POST", "/auth/password/reset", json=body)


@pytest.mark.parametrize("operation", ["verify", "undo"])
def test_of_concurrent_uses_one_succeeds(verified: Api, mails: Mails, operation: str) -> None:
    token = mails.token(request_change(verified))
    if operation == "undo":
        assert use(verified, "verify", token).status_code == 200
        token = mails.token(verified.email)
    responses = at_once([partial(use, verified, operation, token)] * 3)
    assert sorted(one.status_code for one in responses) == [200, 400, 400]


def test_a_token_serves_its_own_purpose_only(verified: Api, anonymous: Api, mails: Mails) -> None:
    anonymous.expect(202, "POST", "/auth/password/forgot", json={"email": verified.email})
    reset = mails.token(verified.email)
    confirmation = mails.token(request_change(verified))
    reset_with = partial(anonymous.problem, 400, "link_invalid", "POST", "/auth/password/reset")
    for operation, token in (("verify", reset), ("undo", reset), ("undo", confirmation)):
        assert code(use(anonymous, operation, token)) == "link_invalid"
    reset_with(json={"token": confirmation, "new_password": NEW_PASSWORD})
    assert use(anonymous, "verify", confirmation).status_code == 200


def test_links_of_a_deleted_account_are_invalid(
    verified: Api, anonymous: Api, contract: Contract, mails: Mails
) -> None:
    change(verified, mails)
    undo = mails.token(verified.email)
    verified.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    assert code(use(anonymous, "undo", undo)) == "link_invalid"
    assert register(anonymous, verified.email).status_code == 201
