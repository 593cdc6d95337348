"""Attacks on the operations of accounts."""

from __future__ import annotations

import httpx
import psycopg
import pytest
from neighbours.data import add_tasks
from neighbours.scenario import DURATION, Scenario, was_answered
from support.api import PASSWORD
from support.attack import Attack
from support.production import Place
from support.rawhttp import Person, request

pytestmark = [pytest.mark.neighbours, pytest.mark.alone]

LARGE = 20_000
SESSIONS = 8


def test_refresh_tokens_used_again(place: Place, scenario: Scenario, attacker: Person) -> None:
    account = {"email": attacker.email, "password": PASSWORD}
    with httpx.Client(base_url=place.url, timeout=20) as client:
        logins = [
            client.post("/auth/login", json=account).raise_for_status().json()
            for _ in range(SESSIONS)
        ]
        used = [{"refresh_token": login["refresh_token"]} for login in logins]
        for body in used:
            client.post("/auth/refresh", json=body).raise_for_status()
    requests = [
        request("POST", "/auth/refresh", body=body, Idempotency_Key=f"key-{session}-{n}")
        for session, body in enumerate(used)
        for n in range(6)
    ]
    outcome = scenario.run(Attack(requests, 48, DURATION))
    assert was_answered(outcome.responses)


def test_deletion_of_a_large_account(
    scenario: Scenario, attacker: Person, database: psycopg.Connection
) -> None:
    add_tasks(database, attacker, LARGE, piece="a# ", pieces=10, has_words=True)
    deletion = request("POST", "/auth/delete", attacker.token, {"password": PASSWORD})
    outcome = scenario.run(Attack([deletion], 4, DURATION))
    assert was_answered(outcome.responses)
