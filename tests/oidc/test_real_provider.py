"""Sign-ins with npm's oidc-provider, which the OpenID Foundation has certified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from support.contract import Contract
from support.real_provider import RealProvider
from support.signing_in import APP, PUBLIC_URL, FrontEnd, parameters_of
from support.world import worker

from config import Settings

pytestmark = [pytest.mark.oidc, pytest.mark.alone]


@pytest.fixture
def example(new_provider: Any) -> RealProvider:
    return new_provider(f"{PUBLIC_URL}/auth/oidc/example/callback")


@pytest.fixture
def other(new_provider: Any) -> RealProvider:
    return new_provider(f"{PUBLIC_URL}/auth/oidc/other/callback")


@pytest.fixture
def service(settings: Settings, example: RealProvider, other: RealProvider) -> Iterator[Flask]:
    changes: dict[str, Any] = {
        "public_url": PUBLIC_URL,
        "oidc_providers": (example.settings("example"), other.settings("other")),
        "oidc_redirect_uris": (APP,),
    }
    with worker(settings, **changes) as app:
        yield app


@pytest.fixture
def both(example: RealProvider, other: RealProvider) -> Iterator[None]:
    with example.running(), other.running():
        yield


def _changed(address: str, **parameters: str) -> str:
    parts = urlsplit(address)
    query = {name: one for name, (one,) in parse_qs(parts.query).items()}
    return parts._replace(query=urlencode(query | parameters)).geturl()


def _begun(front_end: FrontEnd) -> tuple[str, tuple[str, str]]:
    """The address of the provider, and the cookie of the sign-in."""
    path = f"/auth/oidc/{front_end.name}/authorize"
    response = front_end.api.send("GET", path, query_string=front_end.query())
    name, _, value = response.headers["Set-Cookie"].partition(";")[0].partition("=")
    return response.headers["Location"], (name, value)


@pytest.mark.usefixtures("both")
def test_sign_ins_open_one_account(
    service: Flask, contract: Contract, example: RealProvider
) -> None:
    opened = [FrontEnd(service, contract, example.sign_in).logged_in() for _ in range(2)]
    assert opened[0].user_id == opened[1].user_id
    assert opened[0].email == example.email
    (identity,) = opened[0].expect(200, "GET", "/auth/identities")["identities"]
    assert (identity["issuer"], identity["subject"]) == (example.issuer, "ada")


@pytest.mark.usefixtures("both")
def test_a_user_who_cancels_returns_with_an_error(
    service: Flask, contract: Contract, example: RealProvider
) -> None:
    front_end = FrontEnd(service, contract, lambda a: example.sign_in(a, cancels=True))
    returned = front_end.returned(front_end.sign_in(front_end.begin()))
    assert returned == {"error": "access_denied", "state": "of the front end"}


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("changes", [{"nonce": "of another sign-in"}, {"state": "another"}])
def test_an_altered_request_is_rejected(
    service: Flask, contract: Contract, example: RealProvider, changes: dict[str, str]
) -> None:
    front_end = FrontEnd(service, contract, example.sign_in)
    response = front_end.open(example.sign_in(_changed(front_end.begin(), **changes)))
    if "state" in changes:
        assert response.get_json()["code"] == "sign_in_expired"
    else:
        assert parameters_of(response.headers["Location"])["error"] == "sign_in_failed"


@pytest.mark.usefixtures("both")
def test_a_code_that_was_requested_with_another_challenge_is_rejected(
    service: Flask, contract: Contract, example: RealProvider
) -> None:
    front_end = FrontEnd(service, contract, example.sign_in)
    address = _changed(
        front_end.begin(), code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )
    assert front_end.returned(example.sign_in(address))["error"] == "sign_in_failed"


@pytest.mark.usefixtures("both")
def test_a_replayed_code_is_rejected(
    service: Flask, contract: Contract, example: RealProvider
) -> None:
    front_end = FrontEnd(service, contract, example.sign_in)
    address, cookie = _begun(front_end)
    callback = example.sign_in(address)
    assert "code" in front_end.returned(callback)
    front_end.api.client.set_cookie(*cookie, path="/auth/oidc/")
    assert front_end.returned(callback)["error"] == "sign_in_failed"


@pytest.mark.usefixtures("both")
def test_a_code_of_another_issuer_is_rejected(
    service: Flask, contract: Contract, example: RealProvider, other: RealProvider
) -> None:
    """Mix-up: the code of one provider arrives at the callback of another."""
    honest = FrontEnd(service, contract, example.sign_in)
    stolen = parameters_of(example.sign_in(honest.begin()))
    for iss in (stolen["iss"], other.issuer):
        front_end = FrontEnd(service, contract, other.sign_in, "other")
        address, _ = _begun(front_end)
        query = urlencode(
            {"code": stolen["code"], "iss": iss, "state": parameters_of(address)["state"]}
        )
        returned = front_end.returned(f"/auth/oidc/other/callback?{query}")
        assert returned["error"] == "sign_in_failed"
    swapped = f"/auth/oidc/other/callback?{urlencode(stolen)}"
    assert honest.open(swapped).get_json()["code"] == "sign_in_expired"


def test_keys_of_a_provider_are_renewed(
    service: Flask, contract: Contract, example: RealProvider
) -> None:
    for _ in range(2):
        with example.running():
            opened = FrontEnd(service, contract, example.sign_in).logged_in()
            assert opened.email == example.email
