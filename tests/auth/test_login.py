"""Login: the response, one error for all wrong credentials, exact comparison of passwords."""

from __future__ import annotations

import unicodedata
from typing import Any

import bcrypt
import pytest
from support.api import PASSWORD, Api, new_email
from support.world import sql

from config import Settings


def _register(api: Api, password: str) -> dict[str, str]:
    body = {"email": new_email(), "password": password}
    api.expect(201, "POST", "/auth/register", json=body)
    return body


def _refusal(api: Api, **body: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """The error of a failed login, without what differs for each request."""
    response = api.send("POST", "/auth/login", json=body)
    problem = response.get_json()
    assert problem.pop("request_id")
    headers = dict(response.headers)
    assert headers.pop("X-Request-ID")
    return response.status_code, problem, headers


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that passwords are verified against, in order."""
    checked = []
    check = bcrypt.checkpw

    def counting(password: bytes, hashed: bytes) -> bool:
        checked.append(hashed.decode())
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    return checked


def test_the_response_contains_the_account_and_the_tokens_of_a_new_session(
    user: Api, anonymous: Api
) -> None:
    body = {"email": user.email, "password": PASSWORD}
    answer = anonymous.expect(200, "POST", "/auth/login", json=body)
    assert set(answer) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 86_400)
    assert answer["user"] == user.login["user"]
    for token in ("access_token", "refresh_token"):
        assert answer[token] != user.login[token]
    anonymous.login = answer
    me = anonymous.expect(200, "GET", "/auth/me")
    assert me.items() >= answer["user"].items()
    assert user.expect(200, "GET", "/auth/sessions")["total"] == 2


@pytest.mark.parametrize("spelled", [str.upper, str.title, str.swapcase])
def test_the_case_of_the_email_does_not_matter(user: Api, anonymous: Api, spelled: Any) -> None:
    body = {"email": spelled(user.email), "password": PASSWORD}
    answer = anonymous.expect(200, "POST", "/auth/login", json=body)
    assert answer["user"] == user.login["user"]


def test_an_unknown_email_and_a_wrong_password_get_the_same_error(
    user: Api, anonymous: Api
) -> None:
    wrong_email = _refusal(anonymous, email=new_email(), password=PASSWORD)
    wrong_password = _refusal(anonymous, email=user.email, password="wrong password")
    assert wrong_email == wrong_password
    status, problem, headers = wrong_password
    assert status == 401
    assert problem["code"] == "invalid_credentials"
    assert problem["detail"] == "Invalid email or password"
    assert headers["WWW-Authenticate"] == 'Bearer realm="taskapi"'


def test_an_unknown_email_costs_as_much_work_as_a_wrong_password(
    user: Api, anonymous: Api, checks: list[str]
) -> None:
    _refusal(anonymous, email=user.email, password="wrong password")
    _refusal(anonymous, email=new_email(), password="wrong password")
    assert len(checks) == 2
    costs = {hashed.split("$")[2] for hashed in checks}
    assert costs == {"04"}
    assert {len(hashed) for hashed in checks} == {60}


def test_no_password_matches_the_dummy_hash(anonymous: Api, checks: list[str]) -> None:
    """An unknown email is verified against a hash that no password has, not even an empty one."""
    for password in (" " * 8, "." * 31, "dummy password", PASSWORD):
        assert _refusal(anonymous, email=new_email(), password=password)[0] == 401
    assert len(checks) == 4


@pytest.mark.parametrize(
    ("password", "other"),
    [
        ("a" * 72 + "b", "a" * 72 + "c"),
        ("a" * 72, "a" * 73),
        ("a" * 99 + "b", "a" * 99 + "c"),
        ("🔑" * 18 + "b", "🔑" * 18 + "c"),
        ("é" * 36 + "🔑", "é" * 36),
        ("Password", "password"),
        ("password", "password "),
        ("password", " password"),
        ("password1", "password¹"),
        ("password", "\uff50assword"),
    ],
    ids=str,
)
def test_passwords_that_differ_anywhere_are_different(
    anonymous: Api, password: str, other: str
) -> None:
    body = _register(anonymous, password)
    anonymous.problem(
        401, "invalid_credentials", "POST", "/auth/login", json=body | {"password": other}
    )
    anonymous.expect(200, "POST", "/auth/login", json=body)


@pytest.mark.parametrize("password", ["crème brûlée", "한국어 비밀번호", "Å" * 50])
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_forms_of_a_password_are_the_same(
    anonymous: Api, password: str, forms: tuple[str, str]
) -> None:
    one, other = (unicodedata.normalize(form, password) for form in forms)
    assert one != other
    body = _register(anonymous, one)
    anonymous.expect(200, "POST", "/auth/login", json=body | {"password": other})


def test_a_deactivated_account_is_reported_only_with_the_right_password(
    settings: Settings, user: Api, anonymous: Api
) -> None:
    sql(settings, "UPDATE users SET is_active = false WHERE id = %s", user.user_id)
    body = {"email": user.email, "password": PASSWORD}
    problem = anonymous.problem(403, "account_inactive", "POST", "/auth/login", json=body)
    assert problem["detail"] == "This account is deactivated."
    body["password"] = "wrong password"
    anonymous.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)


@pytest.mark.parametrize(
    "stored",
    ["", " ", "x", "not a hash", "$2b$04$short", "$2b$99$" + "." * 53, "md5:0cc175b9c0f1b6a831"],
)
def test_a_malformed_stored_hash_matches_no_password(
    settings: Settings, user: Api, anonymous: Api, stored: str
) -> None:
    sql(settings, "UPDATE users SET hashed_password = %s WHERE id = %s", stored, user.user_id)
    body = {"email": user.email, "password": PASSWORD}
    anonymous.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
    change = {"current_password": PASSWORD, "new_password": "another password"}
    user.problem(400, "wrong_password", "POST", "/auth/password", json=change)


def test_a_stored_hash_does_not_work_as_a_password(
    settings: Settings, user: Api, anonymous: Api
) -> None:
    stored = sql(settings, "SELECT hashed_password FROM users WHERE id = %s", user.user_id)[0][0]
    body = {"email": user.email, "password": stored}
    anonymous.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)


@pytest.mark.parametrize("email", ["' OR 1=1 --", "%@example.com", "_ser@example.com", "*"])
def test_emails_are_not_matched_as_patterns(user: Api, anonymous: Api, email: str) -> None:
    assert _refusal(anonymous, email=email, password=PASSWORD)[0] in (400, 401)


@pytest.mark.parametrize("length", [0, 1, 7, 101, 1_000])
def test_a_password_that_no_account_can_have_is_wrong(
    user: Api, anonymous: Api, length: int
) -> None:
    password = "a" * length
    body = {"email": user.email, "password": password}
    anonymous.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
    change = {"current_password": password, "new_password": "another password"}
    user.problem(400, "wrong_password", "POST", "/auth/password", json=change)
    user.problem(400, "wrong_password", "POST", "/auth/delete", json={"password": password})


def test_a_password_of_more_than_1000_characters_is_invalid(user: Api, anonymous: Api) -> None:
    body = {"email": user.email, "password": "a" * 1_001}
    problem = anonymous.problem(400, "invalid_input", "POST", "/auth/login", json=body)
    assert [error["pointer"] for error in problem["errors"]] == ["/password"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_an_email_is_trimmed_and_normalized(anonymous: Api, form: Any) -> None:
    email = f"J\u00fcrgen.{new_email()}"
    typed = unicodedata.normalize(form, f"\u00a0 {email.upper()}\n")
    body = {"email": typed, "password": PASSWORD}
    created = anonymous.expect(201, "POST", "/auth/register", json=body)["user"]
    assert created["email"] == email.lower()
    others: tuple[Any, ...] = ("NFC", "NFD")
    for other in others:
        again = {"email": unicodedata.normalize(other, f"\t{email}  "), "password": PASSWORD}
        assert anonymous.expect(200, "POST", "/auth/login", json=again)["user"] == created
        anonymous.problem(
            400, "email_taken", "POST", "/auth/register", json=again | {"password": "x" * 9}
        )


def test_a_failed_login_creates_no_session(settings: Settings, user: Api, anonymous: Api) -> None:
    _refusal(anonymous, email=user.email, password="wrong password")
    opened = sql(settings, "SELECT count(*) FROM sessions WHERE user_id = %s", user.user_id)
    assert opened == [(1,)]


def test_a_login_deletes_sessions_that_ended_long_ago(settings: Settings, user: Api) -> None:
    for _ in range(3):
        user.again()
    listed = user.expect(200, "GET", "/auth/sessions")["sessions"]
    expired, revoked, recent = (session["id"] for session in listed[:3])
    end = "UPDATE sessions SET {} = now() - interval '{} days' WHERE id = %s"
    sql(settings, end.format("expires_at", 31), expired)
    sql(settings, end.format("revoked_at", 31), revoked)
    sql(settings, end.format("revoked_at", 29), recent)
    user.again()
    left = sql(settings, "SELECT id FROM sessions WHERE user_id = %s", user.user_id)
    assert len(left) == 3
    assert (recent,) in left
