"""The whole service against a model of it: two people do whatever comes to mind, step by step.

`make test-fuzz` tries more stories, and other ones; a failing story is shortened for half a minute.
"""

from __future__ import annotations

import pytest
from flask import Flask
from hypothesis import settings
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import run_state_machine_as_test
from model.accounts import AccountRules
from model.families import FamilyRules
from model.filters import FilterRules
from model.labels import LabelRules
from model.lists import ListRules
from model.moves import MoveRules
from model.occurrences import OccurrenceRules
from support.contract import Contract
from support.examples import examples

from taskapi.db import manual_order as hand_order
from taskapi.db import positions as places

EXAMPLES = 50
STEPS = 40
SHRINKING_SECONDS = 30


class Everything(
    AccountRules, FilterRules, LabelRules, ListRules, FamilyRules, MoveRules, OccurrenceRules
):
    """All rules together; a new feature's class goes into the lines above."""

    def teardown(self) -> None:
        for account in self.accounts:
            self.check_tasks(account)
            self.check_lists(account)
            self.check_labels(account)
            self.check_filters(account)


def test_the_service_does_what_the_model_foresees(
    app: Flask, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MAX_SCALE", 1)  # so that there soon is no room between two
    monkeypatch.setattr(hand_order, "_WINDOW", 1)
    # Hypothesis would take five minutes, and has no setting for it.
    monkeypatch.setattr(engine, "MAX_SHRINKING_SECONDS", SHRINKING_SECONDS)
    run_state_machine_as_test(
        lambda: Everything(app, contract),
        settings=settings(examples(EXAMPLES), stateful_step_count=STEPS),
    )
