"""A front end and its browser, which sign in with a provider."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from support.api import Api
from support.contract import Contract
from support.world import person
from werkzeug.test import TestResponse

APP = "https://app.example.com/signed-in"
MOBILE_APP = "com.example.app:/signed-in"
PUBLIC_URL = "http://localhost"
VERIFIER = "a verifier of a front end, which is random in reality"


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def parameters_of(address: str) -> dict[str, str]:
    """The query of an address."""
    return {name: one for name, (one,) in parse_qs(urlsplit(address).query).items()}


class FrontEnd:
    """A front end in a browser with its own cookies.

    Args:
        sign_in: what the user does at the provider; it returns where the browser is sent.
    """

    def __init__(
        self, app: Flask, contract: Contract, sign_in: Callable[[str], str], name: str = "example"
    ) -> None:
        self.api = person(app, contract)
        self.name = name
        self.sign_in = sign_in
        self.verifier = secrets.token_urlsafe(32)

    def query(self, **changes: str) -> dict[str, str]:
        return {
            "redirect_uri": APP,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "state": "of the front end",
        } | changes

    def begin(self, **changes: str) -> str:
        """The address of the provider that the browser is sent to."""
        path = f"/auth/oidc/{self.name}/authorize"
        response = self.api.send("GET", path, query_string=self.query(**changes))
        assert response.status_code == 303, response.get_data(as_text=True)
        return response.headers["Location"]

    def open(self, address: str) -> TestResponse:
        """The response of the service to the browser, which comes back from the provider."""
        path = address.removeprefix(PUBLIC_URL)
        assert path.startswith("/auth/oidc/")
        return self.api.send("GET", path)

    def returned(self, address: str) -> dict[str, str]:
        """The parameters with which the browser comes back to the front end."""
        response = self.open(address)
        assert response.status_code == 303, response.get_data(as_text=True)
        return parameters_of(response.headers["Location"])

    def code(self, **changes: str) -> str:
        """The code of a complete sign-in."""
        return self.returned(self.sign_in(self.begin(**changes)))["code"]

    def body(self, **changes: str) -> dict[str, str]:
        """The body that redeems the code of a complete sign-in."""
        return {"code": self.code(), "code_verifier": self.verifier} | changes

    def logged_in(self) -> Api:
        """The client of the account that a sign-in opens."""
        self.api.login = self.api.expect(200, "POST", "/auth/oidc/token", json=self.body())
        self.api.email = self.api.login["user"]["email"]
        return self.api

    def problem(self, status: int, code: str) -> Any:
        """The error of a sign-in whose code is not exchanged."""
        return self.api.problem(status, code, "POST", "/auth/oidc/token", json=self.body())
