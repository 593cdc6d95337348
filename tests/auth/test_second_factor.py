"""The second factor of an account: enroll, confirm, disable, recovery codes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pytest
from support.api import PASSWORD, Api, new_email
from support.factor import Factor, code_of, enabled, enroll
from support.world import sql, worker

from config import Settings

OFF = {"is_enabled": False, "recovery_codes_left": 0}
REPLACE = "/auth/second-factor/recovery-codes"
CONFIRM = "/auth/second-factor/confirm"
DISABLE = "/auth/second-factor/disable"


def _state(person: Api) -> dict[str, Any]:
    found: dict[str, Any] = person.expect(200, "GET", "/auth/me")["second_factor"]
    return found


def _log_in(person: Api, code: str | None = None) -> int:
    body = {"email": person.email, "password": PASSWORD, "code": code}
    return person.send("POST", "/auth/login", json=body).status_code


def _stored(settings: Settings, person: Api) -> list[tuple[Any, ...]]:
    return sql(settings, "SELECT * FROM second_factors WHERE user_id = %s", person.user_id)


def test_an_account_has_no_second_factor_at_first(user: Api) -> None:
    assert _state(user) == OFF


def test_enrolling_returns_a_secret_as_a_uri_and_as_a_qr_code(user: Api) -> None:
    enrolled = user.expect(200, "POST", "/auth/second-factor", json={"password": PASSWORD})
    assert set(enrolled) == {"secret", "uri", "qr_svg"}
    assert re.fullmatch("[A-Z2-7]{32}", enrolled["secret"])
    uri = urlsplit(enrolled["uri"])
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == (
        "otpauth",
        "totp",
        f"/taskapi:{user.email}",
    )
    assert parse_qs(uri.query) == {"secret": [enrolled["secret"]], "issuer": ["taskapi"]}
    image = ElementTree.fromstring(enrolled["qr_svg"])
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    assert {part.tag.rpartition("}")[2] for part in image.iter()} == {"svg", "g", "path"}


def test_the_issuer_is_a_setting(settings: Settings, user: Api) -> None:
    with worker(settings, second_factor_issuer="Ada & Co") as app:
        person = Api(app.test_client(), user.contract)
        person.login = user.login
        body = {"password": PASSWORD}
        uri = urlsplit(person.expect(200, "POST", "/auth/second-factor", json=body)["uri"])
    assert unquote(uri.path).startswith("/Ada & Co:")
    assert parse_qs(uri.query)["issuer"] == ["Ada & Co"]


@pytest.mark.parametrize("letter", ["a", "é", "漢"])
def test_an_account_with_a_long_email_can_enroll(anonymous: Api, letter: str) -> None:
    domain = new_email().replace("@", ".")
    email = letter * (254 - len(domain)) + "@" + domain
    anonymous.login = anonymous.expect(
        201, "POST", "/auth/register", json={"email": email, "password": PASSWORD}
    )
    enrolled = anonymous.expect(200, "POST", "/auth/second-factor", json={"password": PASSWORD})
    assert enrolled["qr_svg"].endswith("</svg>")
    assert unquote(urlsplit(enrolled["uri"]).path).startswith(f"/taskapi:{letter * 63}…")


def test_logins_need_no_code_until_the_second_factor_is_confirmed(user: Api) -> None:
    enroll(user)
    assert _state(user) == OFF
    assert _log_in(user) == 200


def test_enrolling_requires_the_password(settings: Settings, user: Api) -> None:
    body = {"password": "wrong password"}
    user.problem(400, "wrong_password", "POST", "/auth/second-factor", json=body)
    assert _stored(settings, user) == []


def test_enrolling_again_replaces_the_secret(user: Api) -> None:
    first, second = enroll(user), enroll(user)
    assert first != second
    user.problem(400, "wrong_code", "POST", CONFIRM, json={"code": code_of(first)})
    user.expect(200, "POST", CONFIRM, json={"code": code_of(second)})


def test_a_second_factor_that_is_on_is_not_replaced(user: Api) -> None:
    factor = enabled(user)
    body = {"password": PASSWORD}
    user.problem(409, "second_factor_enabled", "POST", "/auth/second-factor", json=body)
    user.problem(409, "second_factor_enabled", "POST", CONFIRM, json={"code": factor.code()})
    assert _log_in(user, factor.code()) == 200


def test_confirming_requires_a_code_of_the_app(user: Api) -> None:
    code = code_of(enroll(user))
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for given in (wrong, "not a code", "3ld7-hyvd-kyy2-66xk-selu-icq5"):
        problem = user.problem(400, "wrong_code", "POST", CONFIRM, json={"code": given})
        assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("/code", "wrong_code")]
    assert _state(user) == OFF
    assert _log_in(user) == 200
    assert len(user.expect(200, "POST", CONFIRM, json={"code": code})["recovery_codes"]) == 10
    assert _log_in(user) == 401


def test_confirming_requires_an_enrollment(user: Api) -> None:
    user.problem(409, "second_factor_not_enabled", "POST", CONFIRM, json={"code": "000000"})


def test_confirming_returns_ten_recovery_codes(user: Api) -> None:
    codes = enabled(user).recovery_codes
    assert len(set(codes)) == 10
    assert all(re.fullmatch("[a-z2-7]{4}(-[a-z2-7]{4}){5}", code) for code in codes)
    assert _state(user) == {"is_enabled": True, "recovery_codes_left": 10}


def test_the_secret_is_encrypted_and_only_hashes_of_recovery_codes_are_stored(
    settings: Settings, user: Api
) -> None:
    factor = enabled(user)
    ((stored,),) = sql(
        settings, "SELECT whole::text FROM second_factors AS whole WHERE user_id = %s", user.user_id
    )
    ((secret, hashes),) = sql(
        settings,
        "SELECT encrypted_secret, recovery_hashes FROM second_factors WHERE user_id = %s",
        user.user_id,
    )
    assert factor.secret.encode() not in bytes(secret)
    assert {len(one) for one in hashes} == {32}
    for code in factor.recovery_codes:
        for text in (code, code.replace("-", ""), code.replace("-", "").upper()):
            assert text not in stored
            assert text.encode().hex() not in stored


def test_sessions_stay_active_when_the_second_factor_is_turned_on(user: Api) -> None:
    other = user.again()
    enabled(user)
    other.expect(200, "GET", "/tasks")
    body = {"refresh_token": other.login["refresh_token"]}
    other.expect(200, "POST", "/auth/refresh", json=body)


@pytest.mark.parametrize("path", [DISABLE, REPLACE])
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"password": "wrong password"}, "wrong_password"),
        ({"code": "not a code"}, "wrong_code"),
        ({"code": "3ld7-hyvd-kyy2-66xk-selu-icq5"}, "wrong_code"),
    ],
    ids=["password", "code", "recovery code"],
)
def test_a_change_requires_the_password_and_a_code(
    settings: Settings, user: Api, path: str, wrong: dict[str, str], code: str
) -> None:
    body = {"password": PASSWORD, "code": enabled(user).code()}
    before = _stored(settings, user)
    user.problem(400, code, "POST", path, json=body | wrong)
    assert _stored(settings, user) == before
    # Neither error has used the code.
    user.expect(204 if path == DISABLE else 200, "POST", path, json=body)


@pytest.mark.parametrize("path", [DISABLE, REPLACE])
@pytest.mark.parametrize("is_pending", [False, True], ids=["none", "pending"])
def test_a_change_requires_a_second_factor_that_is_on(
    user: Api, path: str, is_pending: bool
) -> None:
    code = code_of(enroll(user)) if is_pending else "000000"
    body = {"password": PASSWORD, "code": code}
    user.problem(409, "second_factor_not_enabled", "POST", path, json=body)


@pytest.mark.parametrize("kind", ["a code of the app", "a recovery code"])
def test_a_disabled_second_factor_is_deleted(settings: Settings, user: Api, kind: str) -> None:
    factor = enabled(user)
    code = factor.code() if kind == "a code of the app" else factor.recovery_codes[9]
    user.expect(204, "POST", DISABLE, json={"password": PASSWORD, "code": code})
    assert _state(user) == OFF
    assert _stored(settings, user) == []
    assert _log_in(user) == 200


def test_a_new_second_factor_has_a_new_secret_and_new_recovery_codes(user: Api) -> None:
    old = enabled(user)
    body = {"password": PASSWORD, "code": old.recovery_codes[0]}
    user.expect(204, "POST", DISABLE, json=body)
    new = enabled(user)
    assert _log_in(user, old.code()) == 401
    assert _log_in(user, old.recovery_codes[1]) == 401
    assert _log_in(user, new.recovery_codes[1]) == 200


def test_new_recovery_codes_replace_the_previous_ones(user: Api) -> None:
    old = enabled(user)
    assert _log_in(user, old.recovery_codes[0]) == 200
    assert _state(user)["recovery_codes_left"] == 9
    body = {"password": PASSWORD, "code": old.code()}
    new = Factor(old.secret, user.expect(200, "POST", REPLACE, json=body)["recovery_codes"])
    assert not set(new.recovery_codes) & set(old.recovery_codes)
    assert _state(user)["recovery_codes_left"] == 10
    assert _log_in(user, old.recovery_codes[1]) == 401
    assert _log_in(user, old.code()) == 401
    assert _log_in(user, new.recovery_codes[0]) == 200


def test_deleting_the_account_deletes_its_second_factor(settings: Settings, user: Api) -> None:
    enabled(user)
    user.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    assert _stored(settings, user) == []


def test_a_new_password_keeps_the_second_factor(user: Api) -> None:
    factor = enabled(user)
    change = {"current_password": PASSWORD, "new_password": "staple 42 times"}
    user.expect(200, "POST", "/auth/password", json=change)
    body = {"email": user.email, "password": "staple 42 times"}
    user.problem(401, "second_factor_required", "POST", "/auth/login", json=body)
    user.expect(200, "POST", "/auth/login", json=body | {"code": factor.code()})
