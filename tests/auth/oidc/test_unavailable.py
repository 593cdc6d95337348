"""Providers that are down, slow or misbehave: they stop nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.provider import Provider
from support.servers import free_port, serving
from support.signing_in import APP, FrontEnd, challenge_of, parameters_of
from support.world import meanwhile, person, worker

from config import Settings
from config_oidc import OidcProvider


def _error_of(front_end: FrontEnd) -> str:
    """The error with which a sign-in comes back to the front end."""
    location = front_end.begin()
    if not location.startswith(APP):
        return front_end.returned(front_end.sign_in(location))["error"]
    returned = parameters_of(location)
    assert returned["state"] == "of the front end"
    return returned["error"]


def test_a_provider_that_is_down_does_not_stop_others(
    settings: Settings, oidc_settings: dict[str, Any], contract: Contract, example: Provider
) -> None:
    down = OidcProvider("down", f"http://127.0.0.1:{free_port()}", "taskapi", "secret")
    providers = (*oidc_settings["oidc_providers"], down)
    with worker(settings, **oidc_settings | {"oidc_providers": providers}) as app:
        for _ in range(2):
            front_end = FrontEnd(app, contract, example.sign_in, "down")
            assert _error_of(front_end) == "temporarily_unavailable"
        FrontEnd(app, contract, example.sign_in).logged_in()
        person(app, contract).registered()


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/token", "/keys", "/userinfo"]
)
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, b"", "temporarily_unavailable"),
        (404, b"{}", "sign_in_failed"),
        (200, b"", "sign_in_failed"),
        (200, b"<html>", "sign_in_failed"),
        (200, b"[]", "sign_in_failed"),
        (200, b'"text"', "sign_in_failed"),
        (200, b'{"keys": [1]}', "sign_in_failed"),
        (200, b'{"keys": [{"kty": "RSA", "n": "AA", "e": "AQ"}]}', "sign_in_failed"),
        (200, b'{"id_token": 7}', "sign_in_failed"),
        (200, b'{"id_token": "a.b.c"}', "sign_in_failed"),
        (200, b"[" * 100_000, "sign_in_failed"),
        (200, b" " * 300_000, "sign_in_failed"),
        (200, b"\xff", "sign_in_failed"),
        (302, b"http://127.0.0.1:1/", "sign_in_failed"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_invalid_response_fails_the_sign_in(
    example: Provider, front_end: FrontEnd, path: str, status: int, body: bytes, error: str
) -> None:
    example.userinfo = dict(example.user)
    example.raw[path] = status, body
    assert _error_of(front_end) == error


def test_a_redirect_is_not_followed(example: Provider, front_end: FrontEnd) -> None:
    example.raw["/keys"] = 302, f"{example.issuer}/elsewhere".encode()
    assert _error_of(front_end) == "sign_in_failed"
    assert "/elsewhere" not in example.requests


def test_a_failed_sign_in_does_not_spoil_the_next(example: Provider, front_end: FrontEnd) -> None:
    for path in ("/.well-known/openid-configuration", "/keys", "/token"):
        example.raw = {path: (200, b"{}")}
        assert _error_of(front_end) == "sign_in_failed"
    example.raw = {}
    front_end.logged_in()


def test_a_slow_provider_holds_no_connection_to_the_database(
    settings: Settings, oidc_settings: dict[str, Any], contract: Contract, example: Provider
) -> None:
    changes = oidc_settings | {"database_pool_size": 1, "database_pool_timeout": 1}
    with worker(settings, **changes) as app:
        front_end = FrontEnd(app, contract, example.sign_in)
        address = example.sign_in(front_end.begin())
        other = person(app, contract).registered()
        example.delay = 1.0
        before = len(example.requests)
        with meanwhile(lambda: front_end.returned(address)) as returned:
            while len(example.requests) == before:
                time.sleep(0.01)
            other.task()
            other.again()
            assert not returned.done()
            assert "code" in returned.result()


@pytest.mark.processes
def test_a_provider_that_does_not_respond_does_not_stop_the_service(
    database_url: str, example: Provider
) -> None:
    described = {
        "name": "example",
        "issuer": example.issuer,
        "client_id": "a",
        "client_secret": "b",
    }
    example.delay = 30.0
    query = {
        "redirect_uri": APP,
        "code_challenge": challenge_of("x"),
        "code_challenge_method": "S256",
    }
    with serving(
        database_url,
        WEB_CONCURRENCY="1",
        OIDC_PROVIDERS=json.dumps([described]),
        OIDC_REDIRECT_URIS=APP,
        PUBLIC_URL="http://localhost",
    ) as url:

        def begin(_: int) -> str:
            path = f"{url}/auth/oidc/example/authorize"
            response = httpx.get(path, params=query, timeout=30)
            return parameters_of(response.headers["Location"])["error"]

        with ThreadPoolExecutor(20) as threads:
            begun = threads.map(begin, range(20))
            while not example.requests:
                time.sleep(0.01)
            body = {"email": new_email(), "password": PASSWORD}
            for _ in range(20):
                httpx.post(f"{url}/auth/login", json=body, timeout=2)
            httpx.post(f"{url}/auth/register", json=body, timeout=2).raise_for_status()
            assert set(begun) == {"temporarily_unavailable"}
        # At most five requests wait for a provider at a time.
        assert len(example.requests) <= 5


def test_without_providers_nothing_of_the_protocol_is_imported() -> None:
    program = (
        "import sys; from config import Settings; from taskapi import create_app;"
        "create_app(Settings(database_url='postgresql://', jwt_secret_key='k' * 32));"
        "print([name for name in ('authlib', 'requests', 'joserfc') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == "[]\n"


def test_the_service_starts_without_the_providers(
    service: Flask, contract: Contract, example: Provider, other: Provider, user: Api
) -> None:
    person(service, contract, user).expect(200, "GET", "/auth/me")
    assert example.requests == other.requests == []
