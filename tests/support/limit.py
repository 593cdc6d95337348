"""A time limit for each test, so that a hanging test fails and does not stop the suite."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import NoReturn

import pytest
from support.examples import FACTOR

SECONDS = 180 * FACTOR
"""For a test of `make test` on a busy machine, and for its setup and its teardown each."""

LONG = {"alone", "deploy", "faults", "load", "neighbours", "security"}
"""The markers of slow tests."""

LONG_SECONDS = 900 + int(os.environ.get("LOAD_SECONDS", "0"))


def seconds_of(item: pytest.Item) -> int:
    """The time limit of a test."""
    return LONG_SECONDS if LONG & {mark.name for mark in item.iter_markers()} else SECONDS


@contextmanager
def limited(seconds: float) -> Generator[None]:
    """Fail if the block takes longer than this."""

    def fail(*_: object) -> NoReturn:
        pytest.fail(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with limited(seconds_of(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    with limited(seconds_of(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    with limited(seconds_of(item)):
        return (yield)
