"""Fixtures of the tests of limits on attempts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from support.api import Api
from support.contract import Contract
from support.world import person, worker

from config import Settings


@pytest.fixture
def limited(settings: Settings) -> Iterator[Flask]:
    """The application with rate limits, which other tests turn off."""
    with worker(settings, ratelimit_enabled=True) as app:
        yield app


@pytest.fixture
def api(limited: Flask, contract: Contract, user: Api) -> Api:
    return person(limited, contract, user)
