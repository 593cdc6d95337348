"""Access tokens: all forgeries get the same error, and keys rotate without a logout."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest
from support.api import Api
from support.contract import Contract
from support.databases import KEY
from support.forgery import FORGERIES, OTHER_KEY, encoded, parts_of, signed
from support.world import person, sql, worker

from config import Settings
from taskapi.identity import key_id

CALLS = [("GET", "/auth/me"), ("GET", "/tasks"), ("POST", "/tasks"), ("DELETE", "/tasks/1")]
INVALID = 'Bearer realm="taskapi", error="invalid_token"'


def _refused(api: Api, authorization: str | None) -> set[tuple[str, str, str]]:
    """Code, detail and challenge of the errors of several operations."""
    headers = {"Authorization": authorization} if authorization is not None else {}
    bare = Api(api.client, api.contract)
    said = set()
    for method, path in CALLS:
        body = {"json": {"title": "Stolen"}} if method == "POST" else {}
        response = bare.send(method, path, headers=headers, **body)
        assert response.status_code == 401, response.get_data(as_text=True)
        problem = response.get_json()
        assert problem["title"]
        said.add((problem["code"], problem["detail"], response.headers["WWW-Authenticate"]))
    return said


def _works(api: Api, authorization: str) -> None:
    bare = Api(api.client, api.contract)
    me = bare.expect(200, "GET", "/auth/me", headers={"Authorization": authorization})
    assert me.items() >= api.login["user"].items()


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_invalid(user: Api, name: str) -> None:
    token = FORGERIES[name](parts_of(user.login["access_token"]))
    # Sessions are deleted some time after they end, so one that does not exist has ended.
    code = "session_ended" if name in ("sid of no session", "sub of nobody") else "token_invalid"
    assert _refused(user, f"Bearer {token}") == {(code, "Invalid token", INVALID)}
    user.expect(200, "GET", "/auth/me")


def test_a_token_signed_by_the_test_is_valid(user: Api) -> None:
    """Otherwise the forgeries above could be rejected because of how the test creates them."""
    header, claims = parts_of(user.login["access_token"])
    _works(user, f"Bearer {signed(header, claims)}")
    _works(user, f"Bearer {signed(header, claims | {'jti': 'another', 'padding': 'x' * 500})}")


def test_claims_of_an_access_token(user: Api) -> None:
    header, claims = parts_of(user.login["access_token"])
    assert header == {"alg": "HS256", "typ": "JWT", "kid": key_id(KEY)}
    assert claims["sub"] == str(user.user_id)
    assert claims["exp"] - claims["iat"] == 86_400
    assert claims["jti"]
    assert set(claims) == {"sub", "sid", "exp", "iat", "jti", "type", "fresh"}


def test_an_expired_token_is_reported_as_expired(user: Api) -> None:
    header, claims = parts_of(user.login["access_token"])
    token = signed(header, claims | {"exp": int(time.time()) - 1})
    challenge = f'{INVALID}, error_description="expired"'
    assert _refused(user, f"Bearer {token}") == {("token_expired", "Token has expired", challenge)}


@pytest.mark.parametrize(
    ("header_without", "claims_without"),
    [("kid", ""), ("", "jti"), ("", "sid"), ("", "sub"), ("", "type"), ("kid", "sid")],
)
def test_an_expired_token_of_another_form_is_reported_as_expired(
    user: Api, header_without: str, claims_without: str
) -> None:
    header, claims = parts_of(user.login["access_token"])
    header.pop(header_without, None)
    claims.pop(claims_without, None)
    for kid in ({}, {"kid": "0" * 16}):
        token = signed(header | kid, claims | {"exp": int(time.time()) - 1})
        assert {said[:2] for said in _refused(user, f"Bearer {token}")} == {
            ("token_expired", "Token has expired")
        }
    token = signed(header, claims | {"exp": int(time.time()) - 1}, key=OTHER_KEY)
    assert {code for code, _, _ in _refused(user, f"Bearer {token}")} == {"token_invalid"}


def test_an_expired_forgery_is_invalid_and_not_expired(user: Api) -> None:
    header, claims = parts_of(user.login["access_token"])
    token = signed(header, claims | {"exp": 1}, key=OTHER_KEY)
    assert _refused(user, f"Bearer {token}") == {("token_invalid", "Invalid token", INVALID)}


def test_a_token_that_was_verified_still_expires(user: Api) -> None:
    """Logout accepts and caches expired tokens, which must not be accepted elsewhere."""
    header, claims = parts_of(user.login["access_token"])
    token = signed(header, claims | {"exp": int(time.time()) - 1})
    headers = {"Authorization": f"Bearer {token}"}
    user.expect(200, "POST", "/auth/logout", headers=headers)
    assert {code for code, _, _ in _refused(user, headers["Authorization"])} == {"token_expired"}


def test_the_session_of_another_user_is_invalid(user: Api, stranger: Api) -> None:
    header, claims = parts_of(user.login["access_token"])
    foreign = parts_of(stranger.login["access_token"])[1]
    for mixed in (claims | {"sid": foreign["sid"]}, claims | {"sub": foreign["sub"]}):
        said = _refused(user, f"Bearer {signed(header, mixed)}")
        assert said == {("session_ended", "Invalid token", INVALID)}


@pytest.mark.parametrize("name", ["refresh_token", "token_type", "user"])
def test_other_values_of_a_login_are_not_access_tokens(user: Api, name: str) -> None:
    said = _refused(user, f"Bearer {user.login[name]}")
    assert said == {("token_invalid", "Invalid token", INVALID)}


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  "])
def test_the_scheme_is_accepted_in_any_case_and_with_spaces(user: Api, scheme: str) -> None:
    _works(user, scheme + user.login["access_token"])


@pytest.mark.parametrize(
    "authorization",
    [
        *[None, "", " ", "Bearer", "Bearer ", "Bearer  ", "bearer", "Basic dTpw", "Token {}", "{}"],
        *["Bearer:{}", "Bearer\t{}", "Bearer={}", "JWT {}", ", Bearer {}", '"Bearer" {}'],
    ],
)
def test_a_request_without_a_bearer_token_returns_401(user: Api, authorization: str | None) -> None:
    if authorization is not None:
        authorization = authorization.replace("{}", user.login["access_token"])
    detail = "Authorization must have the form: Bearer <access_token>"
    if not (authorization or "").strip():
        detail = "Authentication required"
    asked = ("authentication_required", detail, 'Bearer realm="taskapi"')
    assert _refused(user, authorization) == {asked}


def test_a_token_is_accepted_in_the_header_only(user: Api, anonymous: Api) -> None:
    token = user.login["access_token"]
    anonymous.client.set_cookie("access_token_cookie", token)
    anonymous.problem(401, "authentication_required", "GET", "/auth/me")
    for name in ("access_token", "jwt", "token"):
        anonymous.problem(401, "authentication_required", "GET", f"/tasks?{name}={token}")
    headers = {"X-Authorization": f"Bearer {token}", "Proxy-Authorization": f"Bearer {token}"}
    anonymous.problem(401, "authentication_required", "GET", "/auth/me", headers=headers)


def test_a_new_key_signs_while_the_old_ones_verify(
    settings: Settings, user: Api, contract: Contract
) -> None:
    older = user.login["access_token"]
    keys = {"jwt_secret_key": OTHER_KEY, "jwt_previous_secret_keys": ("x" * 32, KEY)}
    with worker(settings, **keys) as rotated:
        there = person(rotated, contract, user)
        _works(there, f"Bearer {older}")
        newer = there.again().login["access_token"]
        _works(there, f"Bearer {newer}")
    header, claims = parts_of(newer)
    assert header["kid"] == key_id(OTHER_KEY)
    assert newer == _signed_again(newer, OTHER_KEY)
    assert claims["sub"] == str(user.user_id)
    assert _refused(user, f"Bearer {newer}") == {("token_invalid", "Invalid token", INVALID)}


def test_a_removed_key_verifies_nothing(settings: Settings, user: Api, contract: Contract) -> None:
    with worker(settings, jwt_secret_key=OTHER_KEY) as rotated:
        there = person(rotated, contract)
        said = _refused(there, f"Bearer {user.login['access_token']}")
    assert said == {("token_invalid", "Invalid token", INVALID)}


def test_each_application_of_a_process_signs_with_its_own_key(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with worker(settings, jwt_secret_key=OTHER_KEY):
        here = user.again().login["access_token"]
    assert parts_of(here)[0]["kid"] == key_id(KEY)
    _works(user, f"Bearer {here}")


def test_the_lifetime_of_a_token_is_configurable(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with worker(settings, jwt_access_token_expires=900) as brisk:
        answer = person(brisk, contract, user).again().login
    claims = parts_of(answer["access_token"])[1]
    assert answer["expires_in"] == claims["exp"] - claims["iat"] == 900


def test_the_session_of_a_deleted_account_has_ended(settings: Settings, user: Api) -> None:
    user.expect(200, "GET", "/auth/me")
    sql(settings, "DELETE FROM users WHERE id = %s", user.user_id)
    said = _refused(user, f"Bearer {user.login['access_token']}")
    assert said == {("session_ended", "Invalid token", INVALID)}


def _signed_again(token: str, key: str) -> str:
    head, _, _ = token.rpartition(".")
    return f"{head}.{encoded(hmac.digest(key.encode(), head.encode(), hashlib.sha256))}"
