"""Attacks on sign-ins: forged tokens, replays, other browsers, mix-ups and open redirects."""

from __future__ import annotations

import base64
import json
import logging
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import OctKey
from support.provider import CLIENT_ID, CLIENT_SECRET, Claims, Provider, new_key
from support.signing_in import APP, FrontEnd, challenge_of, parameters_of
from support.world import at_once, sql, worker

from config import Settings


def _failed(front_end: FrontEnd) -> None:
    """A sign-in comes back to the front end with an error and without a code."""
    returned = front_end.returned(front_end.sign_in(front_end.begin()))
    assert returned == {"error": "sign_in_failed", "state": "of the front end"}


def _unsigned(claims: Claims) -> str:
    parts = [{"alg": "none"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(one.rstrip("=") for one in encoded), ""])


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"iss": "https://id.example.com"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": ["another client"]},
        {"aud": None},
        {"azp": "another client"},
        {"aud": [CLIENT_ID, "another client"], "azp": "another client"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 1e400},
        {"iat": 9_999_999_999},
        {"iat": None},
        {"nbf": 9_999_999_999},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 256},
        {"sub": "a\x00"},
        {"sub": "ünïcode"},
        {"at_hash": "of another token"},
    ],
    ids=str,
)
def test_invalid_claims_are_rejected(
    example: Provider, front_end: FrontEnd, claims: dict[str, Any]
) -> None:
    example.claims = claims
    _failed(front_end)
    example.claims = {}
    front_end.logged_in()


def test_a_token_must_be_signed_by_a_published_key(example: Provider, front_end: FrontEnd) -> None:
    example.sign = _unsigned
    _failed(front_end)
    public = example.key.as_pem(private=False)
    for secret in (CLIENT_SECRET.encode(), public):
        key = OctKey.import_key(base64.urlsafe_b64encode(secret).decode().rstrip("="))
        example.sign = lambda claims, key=key: jwt.encode(
            {"alg": "HS256", "kid": example.key.kid}, claims, key
        )
        _failed(front_end)
    stranger = new_key(example.key.kid)
    example.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, stranger)
    _failed(front_end)
    unknown = new_key("unknown")
    example.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "unknown"}, claims, unknown)
    _failed(front_end)
    # A key in the token's own header is not the provider's.
    header = {"alg": "RS256", "jwk": unknown.as_dict(private=False)}
    example.sign = lambda claims: jwt.encode(header, claims, unknown)
    _failed(front_end)
    example.sign = None
    front_end.logged_in()


def test_a_published_symmetric_key_signs_nothing(example: Provider, front_end: FrontEnd) -> None:
    symmetric = OctKey.generate_key(256, {"kid": "symmetric"})
    example.published = [symmetric.as_dict(private=True), example.key.as_dict(private=False)]
    example.sign = lambda claims: jwt.encode(
        {"alg": "HS256", "kid": "symmetric"}, claims, symmetric
    )
    _failed(front_end)


def test_keys_may_be_replaced_and_the_old_ones_are_then_rejected(
    example: Provider, new_front_end
) -> None:
    new_front_end().logged_in()
    old, example.key = example.key, new_key("second")
    new_front_end().logged_in()
    assert example.requests.count("/keys") == 2
    example.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, old)
    _failed(new_front_end())


def test_keys_and_metadata_are_cached(example: Provider, new_front_end) -> None:
    for _ in range(3):
        new_front_end().logged_in()
    assert example.requests.count("/keys") == 1
    assert example.requests.count("/.well-known/openid-configuration") == 1


def test_the_users_information_must_be_of_the_same_subject(
    example: Provider, front_end: FrontEnd
) -> None:
    example.userinfo = example.user | {"sub": "somebody else"}
    _failed(front_end)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://id.example.com"},
        {"issuer": None},
        {"token_endpoint": "http://id.example.com/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"jwks_uri": "http://id.example.com/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": 7},
    ],
    ids=str,
)
def test_metadata_of_another_issuer_or_without_https_is_rejected(
    example: Provider, front_end: FrontEnd, metadata: dict[str, Any]
) -> None:
    example.metadata = metadata
    location = front_end.begin()
    assert location.startswith(f"{APP}?")
    assert parameters_of(location)["error"] == "sign_in_failed"


def test_a_code_of_the_provider_works_once(example: Provider, front_end: FrontEnd) -> None:
    address = example.sign_in(front_end.begin())
    response = front_end.open(address)
    assert "code" in parameters_of(response.headers["Location"])
    # The cookie is deleted, so a repeated request has no sign-in.
    assert front_end.open(address).get_json()["code"] == "sign_in_expired"


def test_a_repeated_callback_with_its_cookie_is_refused_by_the_provider(
    example: Provider, front_end: FrontEnd
) -> None:
    path = "/auth/oidc/example/authorize"
    begun = front_end.api.send("GET", path, query_string=front_end.query())
    cookie = begun.headers["Set-Cookie"].partition(";")[0]
    address = example.sign_in(begun.headers["Location"])
    assert "code" in front_end.returned(address)
    front_end.api.client.set_cookie(*cookie.split("=", 1), path="/auth/oidc/")
    assert front_end.returned(address)["error"] == "sign_in_failed"


def test_a_code_of_the_service_works_once_also_concurrently(front_end: FrontEnd) -> None:
    body = front_end.body()
    call = partial(front_end.api.send, "POST", "/auth/oidc/token", json=body)
    statuses = [response.status_code for response in at_once([call] * 4)]
    assert sorted(statuses) == [200, 400, 400, 400]
    front_end.api.problem(400, "invalid_code", "POST", "/auth/oidc/token", json=body)


def test_a_code_needs_the_verifier_and_is_gone_after_a_wrong_one(front_end: FrontEnd) -> None:
    body = front_end.body()
    wrong = body | {"code_verifier": "w" * 43}
    front_end.api.problem(400, "invalid_code", "POST", "/auth/oidc/token", json=wrong)
    front_end.api.problem(400, "invalid_code", "POST", "/auth/oidc/token", json=body)


def test_a_code_expires_and_only_its_hash_is_stored(
    settings: Settings, front_end: FrontEnd
) -> None:
    body = front_end.body()
    stored = sql(settings, "SELECT code_hash, sign_in_codes::text FROM sign_in_codes")
    assert stored
    for code_hash, row in stored:
        assert len(code_hash) == 32
        assert body["code"] not in row
    sql(settings, "UPDATE sign_in_codes SET expires_at = now() - interval '1 second'")
    front_end.api.problem(400, "invalid_code", "POST", "/auth/oidc/token", json=body)


def test_another_browser_cannot_finish_a_sign_in(example: Provider, new_front_end) -> None:
    """An attacker cannot log a victim in to the attacker's account."""
    address = example.sign_in(new_front_end().begin())
    victim = new_front_end()
    assert victim.open(address).get_json()["code"] == "sign_in_expired"
    # The victim's browser may have a sign-in of its own in progress.
    victim.begin()
    assert victim.open(address).get_json()["code"] == "sign_in_expired"


def test_a_cookie_of_another_sign_in_or_an_altered_one_is_not_accepted(
    example: Provider, front_end: FrontEnd, new_front_end
) -> None:
    path = "/auth/oidc/example/authorize"
    begun = new_front_end().api.send("GET", path, query_string=front_end.query())
    name, _, value = begun.headers["Set-Cookie"].partition(";")[0].partition("=")
    address = example.sign_in(begun.headers["Location"])
    other = front_end.api.send("GET", path, query_string=front_end.query())
    others = other.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
    changed = "B" if value[60] == "A" else "A"
    for forged in (others, value[:-4] + "AAAA", "", "x", f"{value[:60]}{changed}{value[61:]}"):
        front_end.api.client.set_cookie(name, forged, path="/auth/oidc/")
        assert front_end.open(address).get_json()["code"] == "sign_in_expired"
    front_end.api.client.set_cookie(name, value, path="/auth/oidc/")
    assert "code" in front_end.returned(address)


@pytest.mark.parametrize("iss", ["https://attacker.example.com", "", None])
def test_a_code_of_another_issuer_is_not_sent_to_the_provider(
    example: Provider, front_end: FrontEnd, iss: str | None
) -> None:
    """Mix-up (RFC 9207): an attacker's provider returns the code of the honest one."""
    state = parameters_of(front_end.begin())["state"]
    query = {"code": "stolen", "state": state} | ({} if iss is None else {"iss": iss})
    returned = front_end.returned(f"/auth/oidc/example/callback?{urlencode(query)}")
    assert returned["error"] == "sign_in_failed"
    assert "/token" not in example.requests


def test_a_sign_in_with_one_provider_is_not_finished_by_another(
    example: Provider, other: Provider, new_front_end
) -> None:
    front_end = new_front_end(other.sign_in, "other")
    address = example.sign_in(front_end.begin())
    assert "/other/callback" in address
    swapped = address.replace("/other/callback", "/example/callback")
    assert front_end.open(swapped).get_json()["code"] == "sign_in_expired"
    assert "/token" not in example.requests
    assert front_end.returned(address)["error"] == "sign_in_failed"
    assert "/token" not in other.requests


def test_the_same_subject_of_another_provider_is_somebody_else(
    example: Provider, other: Provider, front_end: FrontEnd, new_front_end
) -> None:
    front_end.logged_in()
    other.user["sub"] = example.user["sub"]
    new_front_end(other.sign_in, "other").problem(403, "provider_email_not_verified")


@pytest.mark.parametrize(
    "address",
    [
        "https://attacker.example.com/signed-in",
        "https://app.example.com",
        "https://app.example.com/signed-in/",
        "https://app.example.com/signed-in?next=https://attacker.example.com",
        "https://app.example.com/signed-in#",
        "https://app.example.com:8443/signed-in",
        "https://app.example.com/Signed-in",
        "https://app.example.com/x/../signed-in",
        "https://app.example.com@attacker.example.com/signed-in",
        "https://APP.example.com/signed-in",
        "http://app.example.com/signed-in",
        "//app.example.com/signed-in",
        "javascript:alert(1)",
        "https://app.example.com/signed-in\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_the_browser_returns_to_configured_addresses_only(
    front_end: FrontEnd, address: str
) -> None:
    path = "/auth/oidc/example/authorize"
    query = front_end.query(redirect_uri=address)
    problem = front_end.api.problem(400, "invalid_input", "GET", path, query_string=query)
    assert [error["pointer"] for error in problem["errors"]] == ["redirect_uri"]


def test_an_address_that_is_no_longer_configured_is_not_returned_to(
    settings: Settings, oidc_settings: dict[str, Any], contract, example: Provider, front_end
) -> None:
    path = "/auth/oidc/example/authorize"
    begun = front_end.api.send("GET", path, query_string=front_end.query())
    name, _, value = begun.headers["Set-Cookie"].partition(";")[0].partition("=")
    address = example.sign_in(begun.headers["Location"])
    changed = oidc_settings | {"oidc_redirect_uris": ("https://new.example.com/",)}
    with worker(settings, **changed) as app:
        later = FrontEnd(app, contract, example.sign_in)
        later.api.client.set_cookie(name, value, path="/auth/oidc/")
        assert later.open(address).get_json()["code"] == "sign_in_expired"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("code_challenge", "", "invalid"),
        ("code_challenge", challenge_of("x")[:-1], "invalid"),
        ("code_challenge", challenge_of("x") + "\n", "invalid"),
        ("code_challenge", "ü" * 43, "invalid"),
        ("code_challenge_method", "plain", "not_a_choice"),
        ("state", "a" * 501, "length"),
    ],
)
def test_invalid_parameters_of_the_front_end_are_reported(
    front_end: FrontEnd, name: str, value: str, code: str
) -> None:
    path = "/auth/oidc/example/authorize"
    query = front_end.query(**{name: value})
    problem = front_end.api.problem(400, "invalid_input", "GET", path, query_string=query)
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(name, code)]


@pytest.mark.parametrize("missing", ["redirect_uri", "code_challenge", "code_challenge_method"])
def test_pkce_is_required_of_the_front_end(front_end: FrontEnd, missing: str) -> None:
    query = {name: value for name, value in front_end.query().items() if name != missing}
    path = "/auth/oidc/example/authorize"
    problem = front_end.api.problem(400, "invalid_input", "GET", path, query_string=query)
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [(missing, "required")]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=x",
        "state=x",
        "code=x&state=%00",
        "code=x&state=%FF",
        "code=x&state=%ED%A0%80",
        "code=x&state=" + "a" * 5_000,
        "error=access_denied",
        "state=a&state=b&code=c&code=d",
    ],
)
def test_a_callback_without_a_sign_in_reaches_no_provider(
    example: Provider, front_end: FrontEnd, query: str
) -> None:
    response = front_end.open(f"/auth/oidc/example/callback?{query}")
    assert (response.status_code, response.get_json()["code"]) == (400, "sign_in_expired")
    assert example.requests == []


@pytest.mark.parametrize("code", ["", "\x00", "\ud800".encode("utf-8", "surrogatepass"), "a" * 9])
def test_any_code_of_a_callback_is_answered(
    front_end: FrontEnd, example: Provider, code: str | bytes
) -> None:
    state = parameters_of(front_end.begin())["state"]
    query = urlencode({"code": code, "state": state, "iss": example.issuer})
    returned = front_end.returned(f"/auth/oidc/example/callback?{query}")
    assert returned["error"] == "sign_in_failed"


def test_steps_of_sign_ins_are_limited_by_network(
    settings: Settings, oidc_settings: dict[str, Any], contract, example: Provider
) -> None:
    with worker(settings, ratelimit_enabled=True, **oidc_settings) as app:
        front_end = FrontEnd(app, contract, example.sign_in)
        front_end.api.client.environ_base["REMOTE_ADDR"] = "192.0.2.61"
        path = "/auth/oidc/example/authorize"
        statuses = [
            front_end.api.send("GET", path, query_string=front_end.query()).status_code
            for _ in range(61)
        ]
        assert statuses == [303] * 60 + [429]
        body = {"code": "x", "code_verifier": "v" * 43}
        front_end.api.problem(429, "rate_limited", "POST", "/auth/oidc/token", json=body)


def test_no_secret_of_a_sign_in_is_logged(
    service: Flask, example: Provider, front_end: FrontEnd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    begun = parameters_of(address := front_end.begin())
    returned = parameters_of(back := example.sign_in(address))
    code = front_end.returned(back)["code"]
    body = {"code": code, "code_verifier": front_end.verifier}
    login = front_end.api.expect(200, "POST", "/auth/oidc/token", json=body)
    example.claims = {"nonce": "another"}
    _failed(front_end)
    secrets = [
        *(begun["state"], begun["nonce"], returned["code"], code, front_end.verifier),
        *(CLIENT_SECRET, "for-userinfo", login["refresh_token"], login["access_token"]),
        example.user["email"],
    ]
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "logged_in" in logged or "registered" in logged
    assert "sign_in_failed" in logged
    for secret in secrets:
        assert secret not in logged
