"""Sign-in with a provider: the way there and back, and the account that it opens."""

from __future__ import annotations

from typing import Any

import bcrypt
import pytest
from flask import Flask
from support.api import PASSWORD, Api
from support.contract import Contract
from support.provider import CLIENT_ID, Provider
from support.signing_in import APP, MOBILE_APP, FrontEnd, challenge_of, parameters_of
from support.world import at_once, person, sql, worker

from config import Settings


def _accounts(settings: Settings, email: str) -> list[tuple[object, ...]]:
    columns = "hashed_password, email_verified"
    return sql(settings, f"SELECT {columns} FROM users WHERE email = %s", email)


def test_a_first_sign_in_creates_an_account_and_later_ones_open_it(
    settings: Settings, example: Provider, new_front_end, user: Api
) -> None:
    first = new_front_end().logged_in()
    assert set(first.login) == set(user.login)
    assert first.login["user"]["email"] == example.user["email"]
    assert first.login["user"]["email_verified"] is True
    assert first.expect(200, "GET", "/tasks") == {"tasks": [], "total": 0, "next_cursor": None}
    assert _accounts(settings, first.email) == [("", True)]
    again = new_front_end().logged_in()
    assert again.login["user"] == first.login["user"]
    assert again.expect(200, "GET", "/auth/sessions")["total"] == 2
    refreshed = {"refresh_token": again.login["refresh_token"]}
    again.expect(200, "POST", "/auth/refresh", json=refreshed)
    (identity,) = again.expect(200, "GET", "/auth/identities")["identities"]
    assert identity["issuer"] == example.issuer
    assert identity["subject"] == example.user["sub"]
    assert identity["email"] == first.email


def test_an_identity_is_known_by_its_subject_whatever_its_email(
    example: Provider, new_front_end
) -> None:
    first = new_front_end().logged_in()
    example.user |= {"email": "changed@example.com", "email_verified": False}
    assert new_front_end().logged_in().login["user"] == first.login["user"]


def test_concurrent_first_sign_ins_open_one_account(
    settings: Settings, example: Provider, new_front_end
) -> None:
    front_ends = [new_front_end() for _ in range(4)]
    bodies = [one.body() for one in front_ends]
    calls = [
        lambda one=one, body=body: one.api.expect(200, "POST", "/auth/oidc/token", json=body)
        for one, body in zip(front_ends, bodies, strict=True)
    ]
    assert len({login["user"]["id"] for login in at_once(calls)}) == 1
    assert len(_accounts(settings, example.user["email"])) == 1


def test_the_provider_is_asked_for_a_code_with_pkce_state_and_nonce(
    example: Provider, new_front_end
) -> None:
    one, other = (parameters_of(new_front_end().begin()) for _ in range(2))
    assert one["redirect_uri"] == "http://localhost/auth/oidc/example/callback"
    assert (one["client_id"], one["scope"]) == (CLIENT_ID, "openid email")
    assert (one["response_type"], one["code_challenge_method"]) == ("code", "S256")
    for secret in ("state", "nonce", "code_challenge"):
        assert len(one[secret]) == 43
        assert one[secret] != other[secret]


def test_the_front_end_gets_its_state_and_a_code(front_end: FrontEnd, example: Provider) -> None:
    response = front_end.open(example.sign_in(front_end.begin()))
    location = response.headers["Location"]
    assert location.startswith(f"{APP}?code=")
    returned = parameters_of(location)
    assert set(returned) == {"code", "state"}
    assert returned["state"] == "of the front end"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("address", [MOBILE_APP, f"{APP}?tab=1"])
def test_addresses_of_apps_and_with_a_query_work(
    front_end: FrontEnd, example: Provider, address: str
) -> None:
    response = front_end.open(example.sign_in(front_end.begin(redirect_uri=address)))
    location = response.headers["Location"]
    separator = "&" if "?" in address else "?"
    assert location.startswith(f"{address}{separator}code=")
    body = {"code": parameters_of(location)["code"], "code_verifier": front_end.verifier}
    front_end.api.expect(200, "POST", "/auth/oidc/token", json=body)


def test_a_verified_email_may_come_from_the_userinfo_endpoint(
    example: Provider, front_end: FrontEnd
) -> None:
    example.userinfo = dict(example.user)
    assert front_end.logged_in().email == example.user["email"]
    assert "/userinfo" in example.requests


def test_an_identity_opens_the_account_whose_owner_has_verified_the_same_email(
    settings: Settings, user: Api, example: Provider, new_front_end
) -> None:
    sql(settings, "UPDATE users SET email_verified = true WHERE id = %s", user.user_id)
    example.user["email"] = user.email.upper()
    opened = new_front_end().logged_in()
    assert opened.user_id == user.user_id
    assert new_front_end().logged_in().user_id == user.user_id
    user.again()  # the password still works


def test_an_account_with_an_unverified_email_is_not_opened_or_taken_over(
    settings: Settings, user: Api, example: Provider, new_front_end
) -> None:
    example.user["email"] = user.email
    for _ in range(2):
        new_front_end().problem(409, "account_not_linked")
    assert _accounts(settings, user.email)[0][1] is False
    assert user.expect(200, "GET", "/auth/identities")["identities"] == []
    assert user.expect(200, "GET", "/auth/sessions")["total"] == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "yes"},
        {"email_verified": 1.5},
        {"email": None},
        {"email": "nobody"},
        {"email": ["ada@example.com"]},
        {"email": f"{'a' * 250}@example.com"},
        {"email": "\x00@example.com"},
    ],
    ids=str,
)
def test_without_a_verified_email_no_account_is_created_opened_or_revealed(
    settings: Settings, user: Api, example: Provider, new_front_end, claims: dict[str, object]
) -> None:
    sql(settings, "UPDATE users SET email_verified = true WHERE id = %s", user.user_id)
    example.claims = claims
    unknown = new_front_end().problem(403, "provider_email_not_verified")
    if isinstance(claims.get("email", ""), str) and "email" not in claims:
        example.user["email"] = user.email
    known = new_front_end().problem(403, "provider_email_not_verified")
    assert unknown | {"request_id": ""} == known | {"request_id": ""}


def test_a_deactivated_account_is_not_opened(
    settings: Settings, new_front_end, front_end: FrontEnd
) -> None:
    account = front_end.logged_in()
    sql(settings, "UPDATE users SET is_active = false WHERE id = %s", account.user_id)
    new_front_end().problem(403, "account_inactive")


def test_an_account_without_a_password_has_none_that_works(
    front_end: FrontEnd, anonymous: Api
) -> None:
    account = front_end.logged_in()
    for password in ("", " " * 8, PASSWORD):
        body = {"email": account.email, "password": password}
        anonymous.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
        account.problem(400, "wrong_password", "POST", "/auth/delete", json={"password": password})
    body = {"email": account.email, "password": PASSWORD}
    anonymous.problem(400, "email_taken", "POST", "/auth/register", json=body)


def test_a_login_to_an_account_without_a_password_costs_as_much_work_as_others(
    front_end: FrontEnd, anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, checked, check = front_end.logged_in(), [], bcrypt.checkpw

    def counting(password: bytes, hashed: bytes) -> bool:
        checked.append(hashed)
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    body = {"email": account.email, "password": PASSWORD}
    anonymous.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
    (hashed,) = checked
    assert len(hashed) == 60
    assert hashed.split(b"$")[2] == b"04"


def test_a_user_who_declines_comes_back_with_an_error(front_end: FrontEnd) -> None:
    state = parameters_of(front_end.begin())["state"]
    address = f"/auth/oidc/example/callback?error=access_denied&state={state}"
    assert front_end.returned(address) == {"error": "access_denied", "state": "of the front end"}


def test_other_errors_of_the_provider_are_not_passed_on(front_end: FrontEnd) -> None:
    state = parameters_of(front_end.begin())["state"]
    address = f"/auth/oidc/example/callback?error=%3Cscript%3E&state={state}"
    assert front_end.returned(address)["error"] == "sign_in_failed"


def test_the_providers_are_listed_without_their_secrets(
    service: Flask, contract, example: Provider, other: Provider, anonymous: Api
) -> None:
    listed = person(service, contract).expect(200, "GET", "/auth/oidc/providers")
    assert listed == {
        "providers": [
            {"name": "example", "issuer": example.issuer},
            {"name": "other", "issuer": other.issuer},
        ]
    }
    assert anonymous.expect(200, "GET", "/auth/oidc/providers") == {"providers": []}


def test_an_unknown_provider_is_a_404(front_end: FrontEnd) -> None:
    path = "/auth/oidc/unknown"
    front_end.api.problem(
        404, "not_found", "GET", f"{path}/authorize", query_string=front_end.query()
    )
    assert front_end.api.send("GET", f"{path}/callback").status_code == 404


def test_the_code_challenge_is_that_of_the_verifier(front_end: FrontEnd) -> None:
    """RFC 7636 appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    front_end.verifier = verifier
    front_end.logged_in()


def test_the_cookie_is_limited_to_the_sign_in(front_end: FrontEnd) -> None:
    response = front_end.api.send(
        "GET", "/auth/oidc/example/authorize", query_string=front_end.query()
    )
    attributes = response.headers["Set-Cookie"].split("; ")[1:]
    assert "HttpOnly" in attributes
    assert "SameSite=Lax" in attributes
    assert "Path=/auth/oidc/" in attributes
    assert "Max-Age=600" in attributes
    assert "Secure" not in attributes  # on this machine, without https


def test_a_browser_has_a_limited_number_of_sign_ins_in_progress(
    example: Provider, front_end: FrontEnd
) -> None:
    """More cookies would exceed the size of a header that the server accepts."""
    addresses = [front_end.begin() for _ in range(20)]
    expired = front_end.open(example.sign_in(addresses[-5]))
    assert expired.get_json()["code"] == "sign_in_expired"
    for address in addresses[-4:]:
        assert "code" in front_end.returned(example.sign_in(address))


def test_behind_https_the_cookie_is_secure(
    settings: Settings, oidc_settings: dict[str, Any], contract: Contract, example: Provider
) -> None:
    changes = oidc_settings | {"public_url": "https://api.example.com/v1"}
    with worker(settings, **changes) as app:
        api = person(app, contract)
        query = FrontEnd(app, contract, example.sign_in).query()
        response = api.send("GET", "/auth/oidc/example/authorize", query_string=query)
    name, *attributes = response.headers["Set-Cookie"].split("; ")
    assert name.startswith("__Secure-sign_in_")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/v1/auth/oidc/"} <= set(attributes)
    callback = parameters_of(response.headers["Location"])["redirect_uri"]
    assert callback == "https://api.example.com/v1/auth/oidc/example/callback"
