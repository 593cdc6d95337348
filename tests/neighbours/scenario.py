"""An attack beside a stranger, and what must hold whatever the attack is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple

import pytest
from support import attack, crowd
from support.attack import CLOSED, Attack, Responses
from support.costs import Costs, measured
from support.crowd import Heard, Times
from support.production import Place

SECONDS = float(os.environ.get("NEIGHBOURS_SECONDS", "2.5"))
LEAD_SECONDS, REFERENCE_SECONDS = 0.7, 1.5
DURATION = SECONDS + LEAD_SECONDS
"""Of an attack, so that it has begun when the stranger comes."""


MAX_P95 = 300.0
"""Milliseconds, of the stranger's requests."""

MAX_SLOWDOWN = 3
"""On a machine that is busy with other things: times the p95 beside an ordinary account."""

ATTEMPTS = 2
"""An attack that slows the stranger does so each time; what else the machine does passes."""

WORKER_GROWTH, BACKEND_GROWTH = 100.0, 50.0
"""MiB."""

REQUEST_SECONDS = 2.4
OUTLIVES_SECONDS = 2.0
MIX = {"list": 5, "get": 3, "create": 1, "patch": 2}
SERVED = {200, 201}
STRANGERS_CLIENTS, STRANGERS_PAUSE = 4, 0.02
ORDINARY_CLIENTS = 100
"""As many requests as a worker handles for one account at a time."""


class Outcome(NamedTuple):
    """What an attack came to."""

    stranger: Heard
    responses: Responses
    costs: Costs
    running: int
    """Statements that still run although their requests must have ended."""


class Scenario:
    """Runs attacks on a service.

    Args:
        record: adds a figure to the test's line of the summary.
    """

    def __init__(self, place: Place, record: Callable[[str, object], None]) -> None:
        self.place = place
        self._stranger, self._ordinary = place.people
        self._record = record

    def run(self, *attacks: Attack) -> Outcome:
        """Attack, and check what the stranger and the operator notice.

        Args:
            attacks: run at the same time.
        """
        for _ in range(ATTEMPTS):
            outcome = self._attack(attacks)
            p95 = Times(*outcome.stranger.times).p95
            self._report(outcome)
            _check(outcome)
            if p95 < MAX_P95 or p95 < MAX_SLOWDOWN * self._reference().p95:
                return outcome
        pytest.fail("the stranger had to wait")

    def _attack(self, attacks: Sequence[Attack]) -> Outcome:
        place = self.place
        with measured(place.service, place.database_url) as costs:
            with ExitStack() as stack:
                results = [stack.enter_context(attack.running(place.port, one)) for one in attacks]
                time.sleep(LEAD_SECONDS)
                heard = stack.enter_context(self._at_work(SECONDS))
                stranger = heard()
                responses = _sum([result() for result in results])
            running = costs.running_after(REQUEST_SECONDS + OUTLIVES_SECONDS)
        return Outcome(stranger, responses, costs, running)

    def _at_work(self, seconds: float) -> AbstractContextManager[Callable[[], Heard]]:
        return crowd.at_work(
            self.place.port,
            [self._stranger],
            seconds=seconds,
            clients=STRANGERS_CLIENTS,
            weights=MIX,
            pause=STRANGERS_PAUSE,
        )

    def _reference(self) -> Times:
        """The stranger's times beside another ordinary account."""
        with (
            crowd.at_work(
                self.place.port,
                [self._ordinary],
                seconds=REFERENCE_SECONDS,
                clients=ORDINARY_CLIENTS,
                weights=MIX,
            ) as ordinary,
            self._at_work(REFERENCE_SECONDS) as stranger,
        ):
            ordinary()
            heard = stranger()
        times = Times(*heard.times)
        self._record("beside an ordinary account:", times)
        return times

    def _report(self, outcome: Outcome) -> None:
        costs, times = outcome.costs, Times(*outcome.stranger.times)
        figures = [
            f"stranger {times}, {_statuses(outcome.stranger)}; attacker {outcome.responses}",
            f"worker +{costs.growth_of_worker:.0f} MiB, backend +{costs.growth_of_backend:.0f} MiB",
            f"longest statement {costs.longest_statement[0]:.1f} s",
        ]
        self._record("figures:", "; ".join(figures))


def _check(outcome: Outcome) -> None:
    """See that the attack does no harm, apart from the time that the stranger waits."""
    stranger, responses, costs, running = outcome
    seconds, sql = costs.longest_statement
    assert not stranger.lost
    assert set(stranger.all_statuses()) <= SERVED
    assert costs.growth_of_worker < WORKER_GROWTH
    assert costs.growth_of_backend < BACKEND_GROWTH
    assert seconds < REQUEST_SECONDS + OUTLIVES_SECONDS, sql
    assert running == 0, sql
    assert costs.has_same_workers()
    assert 500 not in responses.statuses, responses.samples[500]
    for status, samples in responses.samples.items():
        assert status < 400 or all(map(attack.is_problem, samples)), samples


def _statuses(heard: Heard) -> str:
    found = [f"{number:,} x {status}" for status, number in sorted(heard.all_statuses().items())]
    return ", ".join(found + [f"{number} x {what}" for what, number in heard.lost.items()])


def _sum(parts: list[Responses]) -> Responses:
    total = Responses()
    for part in parts:
        total.statuses += part.statuses
        total.samples |= part.samples
    return total


def was_answered(responses: Responses) -> bool:
    """Whether the attacker got any response at all."""
    return responses.statuses.total() > responses.statuses[CLOSED]
