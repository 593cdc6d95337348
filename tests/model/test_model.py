"""The service compared with a model: random sequences of requests of two users.

`make test-fuzz` tries more and other sequences. A failing one is shrunk for half a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from flask import Flask
from hypothesis import settings
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import run_state_machine_as_test
from model.service import Service
from support.contract import Contract
from support.examples import examples

from taskapi.db import manual_order, positions

EXAMPLES = 50
STEPS = 40
SHRINKING_SECONDS = 30


def _found(kind: type[Service]) -> Iterator[type[Service]]:
    """The classes of rules without subclasses."""
    below = kind.__subclasses__()
    if not below:
        yield kind
    for one in below:
        yield from _found(one)


for _module in iter_modules([str(Path(__file__).parent)]):
    if not _module.name.startswith("test_"):
        import_module(f"model.{_module.name}")
RULES = sorted(set(_found(Service)), key=lambda kind: kind.__name__)
Everything = type("Everything", tuple(RULES), {})
"""The rules of all modules of this package."""


def test_the_service_behaves_as_the_model(
    app: Flask, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "MAX_SCALE", 1)  # so that positions between two run out soon
    monkeypatch.setattr(manual_order, "WINDOW", 1)
    # Hypothesis shrinks for five minutes, and has no setting for it.
    monkeypatch.setattr(engine, "MAX_SHRINKING_SECONDS", SHRINKING_SECONDS)
    assert len(RULES) >= 7
    run_state_machine_as_test(
        lambda: Everything(app, contract),
        settings=settings(examples(EXAMPLES), stateful_step_count=STEPS),
    )
