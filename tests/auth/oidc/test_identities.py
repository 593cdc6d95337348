"""Identities of an account: listed, linked, removed, and a password set by one of them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support.api import PASSWORD, Api, new_email
from support.mails import Mails, undo_token
from support.provider import Provider
from support.resources import sign_in_code
from support.signing_in import VERIFIER, FrontEnd
from support.world import at_once, sql

from config import Settings


def _link(person: Api, front_end: FrontEnd, **changes: str) -> dict[str, Any]:
    body = front_end.body(password=PASSWORD) | changes
    return person.expect(201, "POST", "/auth/identities", json=body)


def _verified(settings: Settings, person: Api) -> None:
    sql(settings, "UPDATE users SET email_verified = true WHERE id = %s", person.user_id)


def _is_verified(settings: Settings, person: Api) -> bool:
    query = "SELECT email_verified FROM users WHERE id = %s"
    return bool(sql(settings, query, person.user_id)[0][0])


def test_the_owner_links_the_identity_with_the_same_email(
    settings: Settings, user: Api, example: Provider, new_front_end
) -> None:
    example.user["email"] = user.email
    new_front_end().problem(409, "account_not_linked")
    linked = _link(user, new_front_end())
    assert linked["email"] == user.email
    assert user.expect(200, "GET", "/auth/identities")["identities"] == [linked]
    assert new_front_end().logged_in().user_id == user.user_id
    assert _is_verified(settings, user)


def test_an_identity_with_another_email_requires_a_verified_account(
    settings: Settings, user: Api, new_front_end
) -> None:
    """Otherwise, who registered another's address would keep the account after its recovery."""
    body = new_front_end().body(password=PASSWORD)
    user.problem(409, "account_email_not_verified", "POST", "/auth/identities", json=body)
    assert user.expect(200, "GET", "/auth/identities")["identities"] == []
    _verified(settings, user)
    _link(user, new_front_end())
    assert new_front_end().logged_in().user_id == user.user_id


def test_an_identity_without_a_verified_email_can_be_linked(
    settings: Settings, user: Api, example: Provider, new_front_end
) -> None:
    example.user["email_verified"] = False
    body = new_front_end().body(password=PASSWORD)
    user.problem(409, "account_email_not_verified", "POST", "/auth/identities", json=body)
    _verified(settings, user)
    assert _link(user, new_front_end())["email"] is None
    assert new_front_end().logged_in().user_id == user.user_id


def test_linking_requires_the_password_before_the_code_is_redeemed(
    settings: Settings, user: Api, front_end: FrontEnd
) -> None:
    _verified(settings, user)
    body = front_end.body(password="another password")
    user.problem(400, "wrong_password", "POST", "/auth/identities", json=body)
    linked = user.expect(201, "POST", "/auth/identities", json=body | {"password": PASSWORD})
    user.problem(
        400, "invalid_code", "POST", "/auth/identities", json=body | {"password": PASSWORD}
    )
    assert linked["id"]


def test_an_identity_is_linked_to_one_account(
    settings: Settings, user: Api, stranger: Api, new_front_end
) -> None:
    _verified(settings, user)
    _verified(settings, stranger)
    linked = _link(user, new_front_end())
    assert _link(user, new_front_end()) == linked
    body = new_front_end().body(password=PASSWORD)
    stranger.problem(409, "identity_taken", "POST", "/auth/identities", json=body)
    assert new_front_end().logged_in().user_id == user.user_id


def test_concurrent_links_to_two_accounts_link_one(
    settings: Settings, user: Api, stranger: Api, new_front_end
) -> None:
    people = (user, stranger)
    bodies = [new_front_end().body(password=PASSWORD) for _ in people]
    for person in people:
        _verified(settings, person)
    calls = [
        lambda person=person, body=body: person.send("POST", "/auth/identities", json=body)
        for person, body in zip(people, bodies, strict=True)
    ]
    assert sorted(response.status_code for response in at_once(calls)) == [201, 409]


def test_an_account_has_a_limited_number_of_identities(settings: Settings, user: Api) -> None:
    _verified(settings, user)
    for number in range(21):
        code = sign_in_code(user, new_email())
        body = {"code": code, "code_verifier": VERIFIER, "password": PASSWORD}
        response = user.send("POST", "/auth/identities", json=body)
        assert response.status_code == (201 if number < 20 else 409)
    assert response.get_json()["code"] == "identity_limit"
    assert len(user.expect(200, "GET", "/auth/identities")["identities"]) == 20


def test_a_removed_identity_no_longer_logs_in(
    settings: Settings, user: Api, example: Provider, new_front_end
) -> None:
    _verified(settings, user)
    linked = _link(user, new_front_end())
    path = f"/auth/identities/{linked['id']}"
    user.expect(204, "DELETE", path)
    user.problem(404, "not_found", "DELETE", path)
    opened = new_front_end().logged_in()
    assert opened.user_id != user.user_id
    assert opened.email == example.user["email"]


def test_another_users_identity_is_not_removed(
    settings: Settings, user: Api, stranger: Api, new_front_end
) -> None:
    _verified(settings, user)
    linked = _link(user, new_front_end())
    stranger.problem(404, "not_found", "DELETE", f"/auth/identities/{linked['id']}")
    assert user.expect(200, "GET", "/auth/identities")["identities"] == [linked]


def test_the_last_way_to_log_in_is_not_removed(front_end: FrontEnd, new_front_end) -> None:
    account = front_end.logged_in()
    (identity,) = account.expect(200, "GET", "/auth/identities")["identities"]
    path = f"/auth/identities/{identity['id']}"
    assert account.expect(200, "GET", "/auth/identities")["has_password"] is False
    account.problem(409, "last_login_method", "DELETE", path)
    assert new_front_end().logged_in().user_id == account.user_id
    body = new_front_end().body(new_password=PASSWORD)
    account.expect(200, "POST", "/auth/oidc/password", json=body)
    assert account.expect(200, "GET", "/auth/identities")["has_password"] is True
    account.expect(204, "DELETE", path)
    account.again()


def test_of_two_identities_that_are_removed_at_once_one_stays(
    settings: Settings, front_end: FrontEnd
) -> None:
    account = front_end.logged_in()
    sql(
        settings,
        "INSERT INTO identities (user_id, issuer, subject) VALUES (%s, 'https://b.example', %s)",
        account.user_id,
        new_email(),
    )
    found = account.expect(200, "GET", "/auth/identities")["identities"]
    paths = [f"/auth/identities/{one['id']}" for one in found]
    calls = [lambda path=path: account.send("DELETE", path) for path in paths]
    assert sorted(response.status_code for response in at_once(calls)) == [204, 409]


def test_a_password_is_set_by_a_sign_in_of_a_linked_identity(
    front_end: FrontEnd, new_front_end, anonymous: Api
) -> None:
    account, elsewhere = front_end.logged_in(), new_front_end().logged_in()
    body = new_front_end().body(new_password=PASSWORD)
    account.expect(200, "POST", "/auth/oidc/password", json=body)
    account.expect(200, "GET", "/auth/me")
    elsewhere.problem(401, "session_ended", "GET", "/auth/me")
    credentials = {"email": account.email, "password": PASSWORD}
    anonymous.expect(200, "POST", "/auth/login", json=credentials)
    account.problem(400, "invalid_code", "POST", "/auth/oidc/password", json=body)
    account.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})


def test_no_password_is_set_by_an_identity_of_another_account(
    user: Api, new_front_end, anonymous: Api
) -> None:
    new_front_end().logged_in()
    body = new_front_end().body(new_password="staple 42 times")
    user.problem(409, "identity_not_linked", "POST", "/auth/oidc/password", json=body)
    user.again()


@pytest.mark.parametrize("path", ["/auth/oidc/password", "/auth/identities"])
def test_a_code_is_kept_for_a_caller_whose_session_has_not_ended(
    front_end: FrontEnd, new_front_end, path: str
) -> None:
    account = front_end.logged_in()
    account.expect(200, "POST", "/auth/logout")
    later = new_front_end()
    body = later.body()
    more = {"new_password": PASSWORD} if path.endswith("password") else {"password": PASSWORD}
    account.problem(401, "session_ended", "POST", path, json=body | more)
    later.api.expect(200, "POST", "/auth/oidc/token", json=body)


def test_a_deleted_account_leaves_its_identity_free(
    settings: Settings, example: Provider, new_front_end
) -> None:
    account = new_front_end().logged_in()
    body = new_front_end().body(new_password=PASSWORD)
    account.expect(200, "POST", "/auth/oidc/password", json=body)
    account.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    again = new_front_end().logged_in()
    assert again.user_id != account.user_id
    assert again.email == example.user["email"]


def test_an_account_that_an_administrator_deletes_leaves_its_identity_free(
    app: Flask, settings: Settings, user: Api, new_front_end
) -> None:
    _verified(settings, user)
    _link(user, new_front_end())
    done = app.test_cli_runner().invoke(args=["users", "delete", user.email, "--yes"])
    assert done.exit_code == 0, done.output
    assert new_front_end().logged_in().user_id != user.user_id


def test_a_change_of_the_email_that_is_undone_removes_the_identities(
    user: Api, new_front_end, anonymous: Api
) -> None:
    """Whoever changed the email may have linked one of their own."""
    token = undo_token(user)
    _link(user, new_front_end())
    anonymous.expect(200, "POST", "/auth/email/undo", json={"token": token})
    assert new_front_end().logged_in().user_id != user.user_id


def test_an_email_that_another_account_can_get_back_opens_no_account(
    user: Api, example: Provider, new_front_end
) -> None:
    undo_token(user)
    example.user["email"] = user.email
    new_front_end().problem(400, "email_taken")


def test_changes_are_reported_to_the_owner_by_mail(
    settings: Settings, user: Api, new_front_end
) -> None:
    _verified(settings, user)
    _link(user, new_front_end())
    _link(user, new_front_end())  # it is linked already
    new_front_end().logged_in()
    body = new_front_end().body(new_password="staple 42 times")
    user.expect(200, "POST", "/auth/oidc/password", json=body)
    texts = Mails(user.client.application).to(user.email)
    for words in ("was linked to your account", "was changed on"):
        assert len([text for text in texts if words in text]) == 1


def test_an_identity_that_is_linked_by_its_email_is_reported(
    settings: Settings, user: Api, example: Provider, new_front_end
) -> None:
    _verified(settings, user)
    example.user["email"] = user.email
    for _ in range(2):
        new_front_end().logged_in()
    texts = Mails(user.client.application).to(user.email)
    assert len([text for text in texts if "was linked to your account" in text]) == 1
