"""The whole service against a model of it: two people do whatever comes to mind, step by step.

MODEL_EXAMPLES says how many such stories are tried; a failing one is shortened before it is told.
"""

from __future__ import annotations

import os

from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from model.accounts import AccountRules
from model.filters import FilterRules
from model.labels import LabelRules
from model.lists import ListRules
from model.tasks import TaskRules
from support.contract import Contract

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "50"))
STEPS = 50


class Everything(AccountRules, FilterRules, LabelRules, ListRules, TaskRules):
    """All rules together; a new feature's class goes into the line above."""

    def teardown(self) -> None:
        for account in self.accounts:
            self.check_tasks(account)
            self.check_lists(account)
            self.check_labels(account)
            self.check_filters(account)


def test_the_service_does_what_the_model_foresees(app: Flask, contract: Contract) -> None:
    run_state_machine_as_test(
        lambda: Everything(app, contract),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),  # to explain a failure, each line is traced
            suppress_health_check=list(HealthCheck),
        ),
    )
