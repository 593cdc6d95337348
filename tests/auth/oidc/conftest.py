"""Fixtures of sign-ins: a provider, the service that knows it, and front ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import RSAKey
from support.contract import Contract
from support.provider import Provider, new_key, provider
from support.signing_in import APP, MOBILE_APP, PUBLIC_URL, FrontEnd
from support.world import worker

from config import Settings

NewFrontEnd = Callable[..., FrontEnd]


@pytest.fixture(scope="session")
def keys() -> tuple[RSAKey, RSAKey]:
    """The keys of the two providers. To generate them takes longer than most tests."""
    return new_key("first"), new_key("first")


@pytest.fixture
def example(keys: tuple[RSAKey, RSAKey]) -> Iterator[Provider]:
    with provider(keys[0]) as running:
        yield running


@pytest.fixture
def other(keys: tuple[RSAKey, RSAKey]) -> Iterator[Provider]:
    """A second provider, whose user has the same subject and no email address."""
    with provider(keys[1], email=None, email_verified=None) as running:
        yield running


@pytest.fixture
def oidc_settings(example: Provider, other: Provider) -> dict[str, Any]:
    return {
        "public_url": PUBLIC_URL,
        "oidc_providers": (example.settings(), other.settings("other")),
        "oidc_redirect_uris": (APP, MOBILE_APP, f"{APP}?tab=1"),
    }


@pytest.fixture
def service(settings: Settings, oidc_settings: dict[str, Any]) -> Iterator[Flask]:
    """The application with these providers."""
    with worker(settings, **oidc_settings) as app:
        yield app


@pytest.fixture
def new_front_end(service: Flask, contract: Contract, example: Provider) -> NewFrontEnd:
    """A front end in a new browser, of the first provider by default."""
    return lambda sign_in=example.sign_in, name="example": FrontEnd(
        service, contract, sign_in, name
    )


@pytest.fixture
def front_end(new_front_end: NewFrontEnd) -> FrontEnd:
    return new_front_end()
