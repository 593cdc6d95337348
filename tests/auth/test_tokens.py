"""Access tokens: every forgery is refused in the same words, and keys change without a logout."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.api import Api
from support.contract import Contract
from support.databases import KEY
from support.world import person, sql, worker

from config import Settings
from taskapi.core.identity import key_id

OTHER_KEY = "another key for tests, as long as the first one"
CALLS = [("GET", "/auth/me"), ("GET", "/tasks"), ("POST", "/tasks"), ("DELETE", "/tasks/1")]
INVALID = 'Bearer error="invalid_token"'

Parts = tuple[dict[str, Any], dict[str, Any]]


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _parts(token: str) -> Parts:
    header, claims, _ = token.split(".")
    return json.loads(_decoded(header)), json.loads(_decoded(claims))


def _signed(header: Any, claims: Any, key: str = KEY, digest: str = "sha256") -> str:
    """A token signed by hand, so that it can say what no library would let it."""
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.digest(key.encode(), signed.encode(), digest)
    return f"{signed}.{_encoded(signature)}"


def _with_header(**changes: Any) -> Callable[[Parts], str]:
    return lambda parts: _signed(parts[0] | changes, parts[1])


def _with_claims(**changes: Any) -> Callable[[Parts], str]:
    return lambda parts: _signed(parts[0], parts[1] | changes)


def _without(part: int, name: str) -> Callable[[Parts], str]:
    def forge(parts: Parts) -> str:
        kept = [{k: v for k, v in p.items() if i != part or k != name} for i, p in enumerate(parts)]
        return _signed(*kept)

    return forge


def _unsigned(algorithm: str) -> Callable[[Parts], str]:
    def forge(parts: Parts) -> str:
        return _signed(parts[0] | {"alg": algorithm}, parts[1]).rpartition(".")[0] + "."

    return forge


def _tampered(parts: Parts) -> str:
    header, _, signature = _signed(*parts).split(".")
    claims = parts[1] | {"sub": str(int(parts[1]["sub"]) + 1)}
    return f"{header}.{_encoded(json.dumps(claims).encode())}.{signature}"


def _flipped_signature(parts: Parts) -> str:
    head, _, signature = _signed(*parts).rpartition(".")
    flipped = bytes([_decoded(signature)[0] ^ 1]) + _decoded(signature)[1:]
    return f"{head}.{_encoded(flipped)}"


FORGERIES: dict[str, Callable[[Parts], str]] = {
    "no algorithm": _unsigned("none"),
    "no algorithm, spelled otherwise": _unsigned("NoNe"),
    "no algorithm named": _without(0, "alg"),
    "algorithm none with a signature": _with_header(alg="none"),
    "HS512 with its signature": lambda p: _signed(p[0] | {"alg": "HS512"}, p[1], digest="sha512"),
    "HS384 with its signature": lambda p: _signed(p[0] | {"alg": "HS384"}, p[1], digest="sha384"),
    "RS256 signed with the secret": _with_header(alg="RS256"),
    "ES256 signed with the secret": _with_header(alg="ES256"),
    "algorithm is a list": _with_header(alg=["HS256"]),
    "key in the header": _with_header(kid=None, jwk={"kty": "oct", "k": "AAAA"}),
    "critical extension": _with_header(crit=["exp"], b64=False),
    "another key": lambda p: _signed(*p, key=OTHER_KEY),
    "another key, and its own kid": lambda p: _signed(
        p[0] | {"kid": key_id(OTHER_KEY)}, p[1], key=OTHER_KEY
    ),
    "an empty key": lambda p: _signed(*p, key=""),
    "unknown kid": _with_header(kid="0" * 16),
    "kid missing": _without(0, "kid"),
    "kid a number": _with_header(kid=0),
    "kid null": _with_header(kid=None),
    "kid a list": _with_header(kid=[key_id(KEY)]),
    "kid a path": _with_header(kid="../../../../dev/null"),
    "payload tampered with": _tampered,
    "signature tampered with": _flipped_signature,
    "signature missing": lambda p: _signed(*p).rpartition(".")[0],
    "signature of a longer hash cut short": lambda p: _signed(*p, digest="sha512")[:-43],
    "without sub": _without(1, "sub"),
    "without exp": _without(1, "exp"),
    "without iat": _without(1, "iat"),
    "without jti": _without(1, "jti"),
    "without sid": _without(1, "sid"),
    "jti empty": _with_claims(jti=""),
    "sub 0": _with_claims(sub="0"),
    "sub a word": _with_claims(sub="abc"),
    "sub an Arabic digit": _with_claims(sub="٣"),
    "sub a superscript": _with_claims(sub="²"),
    "sub signed": _with_claims(sub="+1"),
    "sub negative": _with_claims(sub="-1"),
    "sub empty": _with_claims(sub=""),
    "sub beyond any id": _with_claims(sub=str(10**30)),
    "sub null": _with_claims(sub=None),
    "sub a list": _with_claims(sub=["1"]),
    "sub an integer": lambda p: _signed(p[0], p[1] | {"sub": int(p[1]["sub"])}),
    "sub a true": _with_claims(sub=True),
    "sid 0": _with_claims(sid=0),
    "sid negative": _with_claims(sid=-1),
    "sid a true": _with_claims(sid=True),
    "sid null": _with_claims(sid=None),
    "sid beyond any id": _with_claims(sid=10**30),
    "sid a string": lambda p: _signed(p[0], p[1] | {"sid": str(p[1]["sid"])}),
    "sid a float": lambda p: _signed(p[0], p[1] | {"sid": float(p[1]["sid"])}),
    "sid of no session": lambda p: _signed(p[0], p[1] | {"sid": p[1]["sid"] + 10**6}),
    "sub of nobody": _with_claims(sub=str(2**53 - 1)),
    "exp a string": lambda p: _signed(p[0], p[1] | {"exp": str(p[1]["exp"])}),
    "exp a float": lambda p: _signed(p[0], p[1] | {"exp": p[1]["exp"] + 0.5}),
    "exp a true": _with_claims(exp=True),
    "exp null": _with_claims(exp=None),
    "iat a string": _with_claims(iat="now"),
    "iat in the future": _with_claims(iat=int(time.time()) + 3_600),
    "not before tomorrow": _with_claims(nbf=int(time.time()) + 86_400),
    "type refresh": _with_claims(type="refresh"),
    "type null": _with_claims(type=None),
    "type a list": _with_claims(type=["access"]),
    "claims are a list": lambda p: _signed(p[0], [p[1]]),
    "claims are a string": lambda p: _signed(p[0], "claims"),
    "claims are null": lambda p: _signed(p[0], None),
    "header is a list": lambda p: _signed([p[0]], p[1]),
    "header is null": lambda p: _signed(None, p[1]),
    "8 kB": _with_claims(padding="x" * 6_000),
    "nested deeply": lambda p: f"{_encoded(b'[' * 500)}.{_encoded(b'{}')}.{_encoded(b'x' * 32)}",
    "not base64": lambda p: "!!!.???.***",
    "two dots": lambda p: "..",
    "no dots": lambda p: "token",
    "four parts": lambda p: _signed(*p) + ".x",
    "two tokens": lambda p: f"{_signed(*p)} {_signed(*p)}",
    "two headers joined": lambda p: f"{_signed(*p)}, Bearer {_signed(*p)}",
    "latin": lambda p: "tökén",
    "the word null": lambda p: "null",
}


def _refused(api: Api, authorization: str | None) -> set[tuple[str, str, str]]:
    """Code, detail and challenge of the refusals of several calls."""
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
    assert me == api.login["user"]


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_invalid(user: Api, name: str) -> None:
    token = FORGERIES[name](_parts(user.login["access_token"]))
    assert _refused(user, f"Bearer {token}") == {("token_invalid", "Invalid token", INVALID)}
    user.expect(200, "GET", "/auth/me")


def test_the_same_token_signed_by_hand_is_genuine(user: Api) -> None:
    """Else the forgeries above might be refused for the way they are made."""
    header, claims = _parts(user.login["access_token"])
    _works(user, f"Bearer {_signed(header, claims)}")
    _works(user, f"Bearer {_signed(header, claims | {'jti': 'another', 'padding': 'x' * 500})}")


def test_the_claims_are_these(user: Api) -> None:
    header, claims = _parts(user.login["access_token"])
    assert header == {"alg": "HS256", "typ": "JWT", "kid": key_id(KEY)}
    assert claims["sub"] == str(user.user_id)
    assert claims["exp"] - claims["iat"] == 86_400
    assert claims["jti"]
    assert set(claims) == {"sub", "sid", "exp", "iat", "jti", "type", "fresh"}


def test_an_expired_token_says_so(user: Api) -> None:
    header, claims = _parts(user.login["access_token"])
    token = _signed(header, claims | {"exp": int(time.time()) - 1})
    challenge = f'{INVALID}, error_description="expired"'
    assert _refused(user, f"Bearer {token}") == {("token_expired", "Token has expired", challenge)}


def test_an_expired_forgery_is_invalid_and_not_expired(user: Api) -> None:
    header, claims = _parts(user.login["access_token"])
    token = _signed(header, claims | {"exp": 1}, key=OTHER_KEY)
    assert _refused(user, f"Bearer {token}") == {("token_invalid", "Invalid token", INVALID)}


def test_a_token_that_was_verified_still_expires(user: Api) -> None:
    """Logging out takes expired tokens; having been verified there, one must open nothing else."""
    header, claims = _parts(user.login["access_token"])
    token = _signed(header, claims | {"exp": int(time.time()) - 1})
    headers = {"Authorization": f"Bearer {token}"}
    user.expect(200, "POST", "/auth/logout", headers=headers)
    assert {code for code, _, _ in _refused(user, headers["Authorization"])} == {"token_expired"}


def test_the_session_of_another_opens_nothing(user: Api, stranger: Api) -> None:
    header, claims = _parts(user.login["access_token"])
    foreign = _parts(stranger.login["access_token"])[1]
    for mixed in (claims | {"sid": foreign["sid"]}, claims | {"sub": foreign["sub"]}):
        said = _refused(user, f"Bearer {_signed(header, mixed)}")
        assert said == {("token_invalid", "Invalid token", INVALID)}


@pytest.mark.parametrize("name", ["refresh_token", "token_type", "user"])
def test_what_else_a_login_gives_is_no_access_token(user: Api, name: str) -> None:
    said = _refused(user, f"Bearer {user.login[name]}")
    assert said == {("token_invalid", "Invalid token", INVALID)}


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  "])
def test_the_scheme_may_be_spelled_in_any_case_and_spaced(user: Api, scheme: str) -> None:
    _works(user, scheme + user.login["access_token"])


@pytest.mark.parametrize(
    "authorization",
    [
        *[None, "", " ", "Bearer", "Bearer ", "Bearer  ", "bearer", "Basic dTpw", "Token {}", "{}"],
        *["Bearer:{}", "Bearer\t{}", "Bearer={}", "JWT {}", ", Bearer {}", '"Bearer" {}'],
    ],
)
def test_without_a_bearer_token_one_is_asked_for(user: Api, authorization: str | None) -> None:
    if authorization is not None:
        authorization = authorization.replace("{}", user.login["access_token"])
    asked = ("authentication_required", "Authentication required", "Bearer")
    assert _refused(user, authorization) == {asked}


def test_a_token_counts_in_the_header_alone(user: Api, anonymous: Api) -> None:
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
    header, claims = _parts(newer)
    assert header["kid"] == key_id(OTHER_KEY)
    assert newer == _signed_again(newer, OTHER_KEY)
    assert claims["sub"] == str(user.user_id)
    assert _refused(user, f"Bearer {newer}") == {("token_invalid", "Invalid token", INVALID)}


def test_a_key_that_was_dropped_verifies_nothing(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with worker(settings, jwt_secret_key=OTHER_KEY) as rotated:
        there = person(rotated, contract)
        said = _refused(there, f"Bearer {user.login['access_token']}")
    assert said == {("token_invalid", "Invalid token", INVALID)}


def test_each_application_of_a_process_signs_with_its_own_key(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with worker(settings, jwt_secret_key=OTHER_KEY):
        here = user.again().login["access_token"]
    assert _parts(here)[0]["kid"] == key_id(KEY)
    _works(user, f"Bearer {here}")


def test_the_life_of_a_token_is_configured(
    settings: Settings, user: Api, contract: Contract
) -> None:
    with worker(settings, jwt_access_token_expires=900) as brisk:
        answer = person(brisk, contract, user).again().login
    claims = _parts(answer["access_token"])[1]
    assert answer["expires_in"] == claims["exp"] - claims["iat"] == 900


def test_the_token_of_an_account_that_is_gone_is_invalid(settings: Settings, user: Api) -> None:
    user.expect(200, "GET", "/auth/me")
    sql(settings, "DELETE FROM users WHERE id = %s", user.user_id)
    said = _refused(user, f"Bearer {user.login['access_token']}")
    assert said == {("token_invalid", "Invalid token", INVALID)}


def _signed_again(token: str, key: str) -> str:
    signed, _, _ = token.rpartition(".")
    return f"{signed}.{_encoded(hmac.digest(key.encode(), signed.encode(), hashlib.sha256))}"
