"""Registering: the answer, the rules for email and password, and one account for one email."""

from __future__ import annotations

import hashlib
import itertools
import json
import unicodedata
from functools import partial
from typing import Any

import bcrypt
import pytest
from flask import Flask
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.world import at_once, person, sql, worker

from config import Settings

LONGEST = 255


def _of_length(length: int) -> str:
    return "a" * (length - len("@example.com")) + "@example.com"


def _hash_of(settings: Settings, email: str) -> str:
    return sql(settings, "SELECT hashed_password FROM users WHERE email = %s", email)[0][0]


def _error(api: Api, path: str = "/auth/register", **body: Any) -> dict[str, str]:
    """The single broken rule of a body."""
    errors = api.problem(400, "invalid_input", "POST", path, json=body)["errors"]
    assert len(errors) == 1, errors
    return errors[0]


def test_the_response_contains_the_account_and_the_tokens_of_its_first_session(
    anonymous: Api,
) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD}
    answer = anonymous.expect(201, "POST", "/auth/register", json=body)
    assert set(answer) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
    assert answer["token_type"] == "bearer"
    assert answer["expires_in"] == 86_400
    assert set(answer["user"]) == {"id", "email", "email_verified", "created_at"}
    assert answer["user"]["email"] == email
    assert answer["user"]["created_at"].endswith("Z")
    anonymous.login = answer
    me = anonymous.expect(200, "GET", "/auth/me")
    assert me.items() >= answer["user"].items()
    assert anonymous.expect(200, "GET", "/tasks")["total"] == 0


def test_the_email_is_stored_in_lower_case(anonymous: Api) -> None:
    email = new_email()
    body = {"email": email.upper(), "password": PASSWORD}
    answer = anonymous.expect(201, "POST", "/auth/register", json=body)
    assert answer["user"]["email"] == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        " ",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@@example.com",
        "ada@example..com",
        "ada @example.com",
        "ada@exam\nple.com",
        ".ada@example.com",
        "ada@-example.com",
        '"ada\x1b[2J"@example.com',
        "ada@example.com, eve@example.com",
        "Ada <ada@example.com>",
        5,
        True,
        ["ada@example.com"],
        {"address": "ada@example.com"},
    ],
)
def test_an_invalid_email_is_rejected(anonymous: Api, email: object) -> None:
    error = _error(anonymous, email=email, password=PASSWORD)
    assert (error["pointer"], error["code"]) == ("/email", "not_an_email")


@pytest.mark.parametrize(
    "email", ["ada+tasks@example.com", "o'hara@example.co.uk", "ada@münchen.example", "a@b.example"]
)
def test_unusual_emails_are_accepted(anonymous: Api, email: str) -> None:
    email = f"{new_email().partition('@')[0]}{email}"
    body = {"email": email, "password": PASSWORD}
    assert anonymous.expect(201, "POST", "/auth/register", json=body)["user"]["email"] == email


def test_an_email_of_255_characters_is_the_longest(anonymous: Api) -> None:
    body = {"email": _of_length(LONGEST), "password": PASSWORD}
    anonymous.expect(201, "POST", "/auth/register", json=body)
    error = _error(anonymous, email=_of_length(LONGEST + 1), password=PASSWORD)
    assert (error["pointer"], error["code"]) == ("/email", "not_an_email")


@pytest.mark.parametrize("spelled", [str, str.upper, str.title])
def test_a_taken_email_is_rejected_in_any_case(user: Api, anonymous: Api, spelled: Any) -> None:
    body = {"email": spelled(user.email), "password": "another password"}
    problem = anonymous.problem(400, "email_taken", "POST", "/auth/register", json=body)
    assert problem["detail"] == "Email already registered"
    user.again()


def test_one_of_ten_concurrent_registrations_of_an_email_succeeds(
    app: Flask, settings: Settings, contract: Contract
) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    with worker(settings) as other:
        apis = [person(one, contract) for one in (app, other) * 5]
        calls = [partial(api.send, "POST", "/auth/register", json=body) for api in apis]
        answers = at_once(calls)
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 9
    codes = {a.get_json()["code"] for a in answers if a.status_code == 400}
    assert codes == {"email_taken"}
    found = sql(
        settings,
        "SELECT count(DISTINCT users.id), count(*) FROM users JOIN sessions ON user_id = users.id"
        " WHERE email = %s",
        body["email"],
    )
    assert found == [(1, 1)]


@pytest.mark.parametrize("length", [8, 72, 73, 100])
@pytest.mark.parametrize("character", ["a", "é", "密", "🔑", " "])
def test_passwords_of_8_to_100_code_points_work(
    anonymous: Api, length: int, character: str
) -> None:
    body = {"email": new_email(), "password": character * length}
    anonymous.expect(201, "POST", "/auth/register", json=body)
    anonymous.expect(200, "POST", "/auth/login", json=body)
    body["password"] = character * (length - 1 if length == 100 else length + 1)
    anonymous.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)


@pytest.mark.parametrize("length", [0, 7, 101, 10_000])
@pytest.mark.parametrize("character", ["a", "🔑"])
def test_passwords_of_other_lengths_are_rejected(
    anonymous: Api, length: int, character: str
) -> None:
    error = _error(anonymous, email=new_email(), password=character * length)
    assert (error["pointer"], error["code"]) == ("/password", "length")
    assert error["message"] == "Must have 8 to 100 characters."


@pytest.mark.parametrize("password", [12345678, None, ["correct horse"], True])
def test_a_password_must_be_a_string(anonymous: Api, password: object) -> None:
    error = _error(anonymous, email=new_email(), password=password)
    assert error["pointer"] == "/password"
    assert error["code"] == ("null" if password is None else "not_a_string")


@pytest.mark.parametrize("password", ["eight\0chars", "eight\ud800chars"])
def test_text_that_cannot_be_stored_is_rejected(anonymous: Api, password: str) -> None:
    error = _error(anonymous, email=new_email(), password=password)
    assert (error["pointer"], error["code"]) == ("/password", "invalid_text")


def test_the_length_of_a_password_is_that_of_its_composed_form(anonymous: Api) -> None:
    decomposed = unicodedata.normalize("NFD", "é")
    assert len(decomposed) == 2
    body = {"email": new_email(), "password": decomposed * 100}
    anonymous.expect(201, "POST", "/auth/register", json=body)
    _error(anonymous, email=new_email(), password=decomposed * 7)


def test_a_very_long_password_is_rejected_without_hashing(
    anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To put a long row of marks in order takes the square of its length: seconds for this one."""
    lengths = []
    normalize = unicodedata.normalize

    def counting(form: str, text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", counting)
    password = "a" + "\u0301\u0316" * 60_000
    body = {"email": new_email(), "password": password}
    raw = json.dumps(body, ensure_ascii=False).encode()
    sent = {"data": raw, "content_type": "application/json"}
    anonymous.problem(400, "invalid_input", "POST", "/auth/register", **sent)
    _error(anonymous, email=new_email(), password="\u0301" * 400)
    assert max(lengths) == 400


def test_only_a_hash_is_stored_at_the_configured_cost(
    settings: Settings, anonymous: Api, contract: Contract
) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    anonymous.expect(201, "POST", "/auth/register", json=body)
    hashed = _hash_of(settings, body["email"])
    assert hashed.startswith("$2b$04$")
    assert len(hashed) == 60
    row = sql(settings, "SELECT users::text FROM users WHERE email = %s", body["email"])[0][0]
    assert PASSWORD not in row
    leaked = [PASSWORD, hashlib.sha384(PASSWORD.encode()).hexdigest()]
    assert not any(bcrypt.checkpw(text.encode()[:72], hashed.encode()) for text in leaked)
    with worker(settings, bcrypt_rounds=5) as costlier:
        body["email"] = new_email()
        person(costlier, contract).expect(201, "POST", "/auth/register", json=body)
    assert _hash_of(settings, body["email"]).startswith("$2b$05$")


def test_equal_passwords_have_different_hashes(
    settings: Settings, user: Api, stranger: Api
) -> None:
    assert _hash_of(settings, user.email) != _hash_of(settings, stranger.email)


def test_read_only_fields_are_ignored(anonymous: Api) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    read_only = {"id": 1, "created_at": "1999-01-01T00:00:00Z"}
    shown = anonymous.expect(201, "POST", "/auth/register", json=body | read_only)["user"]
    assert shown["created_at"] > "2020"
    again = {"email": new_email(), "password": PASSWORD} | read_only
    assert anonymous.expect(201, "POST", "/auth/register", json=again)["user"]["id"] > shown["id"]


@pytest.mark.parametrize("path", ["/auth/register", "/auth/login"])
@pytest.mark.parametrize(
    "name", ["is_active", "is_admin", "hashed_password", "version", "Email", "user_id", "a/b~c"]
)
def test_the_error_names_an_unknown_field(user: Api, anonymous: Api, path: str, name: str) -> None:
    body: dict[str, Any] = {"email": user.email, "password": PASSWORD, name: True}
    error = _error(anonymous, path, **body)
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    assert (error["pointer"], error["code"]) == (pointer, "unknown_field")


@pytest.mark.parametrize("path", ["/auth/register", "/auth/login"])
def test_the_error_names_all_missing_fields(anonymous: Api, path: str) -> None:
    problem = anonymous.problem(400, "invalid_input", "POST", path, json={})
    named = {(error["pointer"], error["code"]) for error in problem["errors"]}
    assert named == {("/email", "required"), ("/password", "required")}


def test_a_failed_registration_stores_nothing(settings: Settings, anonymous: Api) -> None:
    emails = [new_email() for _ in range(3)]
    for email, password in itertools.zip_longest(emails, ["short", "x" * 101, None]):
        anonymous.expect(400, "POST", "/auth/register", json={"email": email, "password": password})
    assert sql(settings, "SELECT id FROM users WHERE email = ANY(%s)", emails) == []
