"""Attempts to log in, register, refresh and confirm a password, each from an address."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from support.api import PASSWORD, Api, new_email
from werkzeug.test import TestResponse

_numbers = itertools.count(1)


def new_address() -> str:
    number = next(_numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def send(api: Api, path: str, body: dict[str, str], address: str, **environ: str) -> TestResponse:
    return api.send("POST", path, json=body, environ_overrides={"REMOTE_ADDR": address} | environ)


def log_in(
    api: Api, email: str = "", password: str = "wrong password", address: str = "", **environ: str
) -> TestResponse:
    body = {"email": email or new_email(), "password": password}
    return send(api, "/auth/login", body, address or new_address(), **environ)


def register(api: Api, address: str, email: str = "") -> TestResponse:
    body = {"email": email or new_email(), "password": "x" * 8}
    return send(api, "/auth/register", body, address)


def refresh(api: Api, token: str, address: str) -> TestResponse:
    return send(api, "/auth/refresh", {"refresh_token": token}, address)


def reauthenticate(api: Api, number: int, address: str = "") -> TestResponse:
    body = {"password": "wrong password"}
    if number % 2:
        return send(api, "/auth/delete", body, address or new_address())
    body = {"current_password": "wrong password", "new_password": PASSWORD}
    return send(api, "/auth/password", body, address or new_address())


def is_limited(response: TestResponse) -> bool:
    return response.status_code == 429


def used_up(attempt: Callable[[], TestResponse], number: int) -> TestResponse:
    """The refusal after so many attempts that are let through."""
    for _ in range(number):
        assert not is_limited(attempt())
    response = attempt()
    assert is_limited(response)
    return response
