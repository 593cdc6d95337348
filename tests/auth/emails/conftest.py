"""Fixtures of the tests of mails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.api import Api
from support.contract import Contract
from support.mails import Mails
from support.world import person, worker

from config import Settings


@pytest.fixture
def verified(user: Api, mails: Mails) -> Api:
    """A user with a verified email."""
    user.expect(200, "POST", "/auth/email/verify", json={"token": mails.token(user.email)})
    return user


@pytest.fixture
def limited(settings: Settings, contract: Contract, user: Api) -> Iterator[Api]:
    """The user at a worker with rate limits, which other tests turn off."""
    with worker(settings, ratelimit_enabled=True) as app:
        yield person(app, contract, user)
