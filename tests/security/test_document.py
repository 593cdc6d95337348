"""docs/security.md: each test that it names exists, and no row is repeated."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from support.servers import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
ROWS = re.findall(r"^\| ([0-9].*?) \| ([123]) \| (.*?) \| ?(.*?) ?\|$", DOCUMENT, re.MULTILINE)
UNTESTED = ("not met", "not applicable", "in part", "as ", "locked")
"""The beginnings of rows without a test."""


def test_each_row_of_the_table_is_read() -> None:
    table = DOCUMENT.partition("| requirement |")[2].splitlines()[2:]
    assert len(ROWS) == len(table) > 60


@pytest.mark.parametrize("requirement", [row[0] for row in ROWS])
def test_a_requirement_has_a_test_or_an_explanation(requirement: str) -> None:
    _, _, how, named = next(row for row in ROWS if row[0] == requirement)
    if not named:
        assert how.startswith(UNTESTED)
        return
    tests = [re.fullmatch(r"`(tests/\S+\.py)?::(test_\w+)`", test) for test in named.split(", ")]
    path = tests[0][1]
    for test in tests:
        path = test[1] or path
        assert f"\ndef {test[2]}(" in (ROOT / path).read_text()


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/\S+\.py::test_\w+)`", DOCUMENT))))
def test_a_test_in_the_document_exists(named: str) -> None:
    path, name = named.split("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text()


def test_no_row_is_repeated() -> None:
    assert [row for row, count in Counter(row[0] for row in ROWS).items() if count > 1] == []
