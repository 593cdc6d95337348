"""Requests by email do the same work whether or not there is an account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from support import databases, wire, world
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.wire import Traffic, Wire

from config import Settings
from taskapi import create_app

Tapped = tuple[Flask, Wire]
"""The application, and the proxy in front of its database."""


@pytest.fixture(scope="module")
def tapped(database_url: str) -> Iterator[Tapped]:
    with wire.tapped(database_url) as line:
        settings = databases.settings_for(line.url, database_pool_size=1, ratelimit_enabled=True)
        app = create_app(settings)
        yield app, line
        app.extensions["taskapi_pool"].close()


def _work(traffic: Traffic) -> tuple[int, list[str]]:
    # One in a hundred counted attempts also purges counters.
    statements = [text for text in traffic.statements if "WITH seen" not in text]
    return len(statements), statements


def test_an_unknown_address_takes_the_same_statements(
    tapped: Tapped, contract: Contract, settings: Settings, user: Api, stranger: Api
) -> None:
    app, line = tapped
    world.sql(settings, "UPDATE users SET is_active = false WHERE id = %s", stranger.user_id)
    anonymous = world.person(app, contract)
    work = []
    for email in (user.email, stranger.email, new_email()):
        with line.watched() as traffic:
            anonymous.expect(202, "POST", "/auth/password/forgot", json={"email": email})
        work.append(_work(traffic))
    assert work[0] == work[1] == work[2]
    assert any("procrastinate" in text for text in work[0][1])


def test_a_change_to_a_taken_address_takes_the_same_statements(
    tapped: Tapped, contract: Contract, user: Api, stranger: Api
) -> None:
    app, line = tapped
    person = world.person(app, contract, user)
    work = []
    for email in (stranger.email, new_email()):
        body = {"new_email": email, "password": PASSWORD}
        with line.watched() as traffic:
            person.expect(202, "POST", "/auth/email", json=body)
        work.append(_work(traffic))
    assert work[0] == work[1]
