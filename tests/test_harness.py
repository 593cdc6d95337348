"""Limits of the tests themselves: the time limit and the bound on pages."""

from __future__ import annotations

import itertools
import time

import pytest
from support.limit import limited
from support.pages import pages


def test_a_test_that_hangs_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="not done after"), limited(0.05):
        time.sleep(20)


def test_a_test_within_its_limit_passes() -> None:
    with limited(0.05):
        pass
    time.sleep(0.1)


@pytest.mark.parametrize("cursors", [itertools.repeat("a"), map(str, itertools.count())])
def test_pages_that_do_not_end_fail(cursors: itertools.count[str]) -> None:
    with pytest.raises(AssertionError, match="the pages"):
        list(pages(lambda query: {"next_cursor": next(cursors)}))
