"""Attacks that consist of many requests in progress at a time."""

from __future__ import annotations

import pytest
from neighbours.scenario import DURATION, Scenario, was_answered
from support.attack import UNIQUE, Attack
from support.forgery import OTHER_KEY, parts_of, signed
from support.rawhttp import Person, request

from taskapi.http.personal_tokens import PersonalToken, new_secret

pytestmark = [pytest.mark.neighbours, pytest.mark.alone]


def _patch(attacker: Person) -> bytes:
    return request(
        "PATCH", f"/tasks/{attacker.task_ids[0]}", attacker.token, {"description": UNIQUE * 20}
    )


@pytest.mark.parametrize("connections", [180, 1_000])
def test_updates_of_one_task(scenario: Scenario, attacker: Person, connections: int) -> None:
    outcome = scenario.run(Attack([_patch(attacker)], connections, DURATION))
    assert outcome.responses.statuses[200]


def test_creations(scenario: Scenario, attacker: Person) -> None:
    post = request("POST", "/tasks", attacker.token, {"title": UNIQUE})
    outcome = scenario.run(Attack([post], 180, DURATION))
    assert outcome.responses.statuses[201]


@pytest.mark.parametrize("connections", [100, 1_000, 2_500])
def test_reads(scenario: Scenario, attacker: Person, connections: int) -> None:
    get = request("GET", "/tasks?limit=50&sort=title", attacker.token)
    outcome = scenario.run(Attack([get], connections, DURATION))
    assert outcome.responses.statuses[200]


def test_new_idempotency_keys(scenario: Scenario, attacker: Person) -> None:
    body = {"title": "A task", "description": "\u00e4" * 10_000}
    requests = [request("POST", "/tasks", attacker.token, body, Idempotency_Key=UNIQUE)]
    outcome = scenario.run(Attack(requests, 180, DURATION))
    assert outcome.responses.statuses[201]


def test_one_idempotency_key(scenario: Scenario, attacker: Person) -> None:
    requests = [
        request("POST", "/tasks", attacker.token, {"title": "A task"}, Idempotency_Key="same")
    ]
    outcome = scenario.run(Attack(requests, 180, DURATION))
    assert outcome.responses.statuses[201]


def test_bodies_that_arrive_slowly(scenario: Scenario, attacker: Person) -> None:
    outcome = scenario.run(Attack([_patch(attacker)], 1_000, DURATION, body_pause=DURATION / 40))
    assert was_answered(outcome.responses)


def test_forged_tokens(scenario: Scenario, attacker: Person) -> None:
    forged = signed(*parts_of(attacker.token), key=OTHER_KEY)
    requests = [request("GET", "/tasks", forged), request("POST", "/tasks", forged, {"title": "a"})]
    outcome = scenario.run(Attack(requests, 500, DURATION, address="127.0.0.2"))
    assert outcome.responses.statuses[401]


def test_unknown_personal_access_tokens(scenario: Scenario) -> None:
    """Each has a right checksum, so that it is looked up in the database."""
    forged = [str(PersonalToken(1, 1, new_secret())) for _ in range(500)]
    requests = [request("GET", "/tasks", token) for token in forged]
    outcome = scenario.run(Attack(requests, 500, DURATION, address="127.0.0.2"))
    assert outcome.responses.statuses[401]


def test_revoked_tokens(scenario: Scenario, attacker: Person) -> None:
    logout = request("POST", "/auth/logout", attacker.token)
    requests = [request("GET", "/tasks", attacker.token), _patch(attacker), logout]
    scenario.run(Attack([logout], 1, 0.5))
    outcome = scenario.run(Attack(requests, 500, DURATION, address="127.0.0.2"))
    assert outcome.responses.statuses[401]
