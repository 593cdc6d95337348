"""docs/security.md: each test that it names exists, each requirement is listed once."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from support.servers import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
ROWS = re.findall(r"^\| ([0-9].*?) \| ([123]) \| (.*?) \| ?(.*?) ?\|$", DOCUMENT, re.MULTILINE)
UNTESTED = ("not met", "not applicable", "in part", "as ", "locked")
"""Beginnings of rows that need no test."""


def test_all_rows_of_the_table_are_parsed() -> None:
    table = DOCUMENT.partition("| requirement |")[2].splitlines()[2:]
    assert len(ROWS) == len(table) > 60


@pytest.mark.parametrize("requirement", [row[0] for row in ROWS])
def test_each_requirement_has_a_test_or_a_reason(requirement: str) -> None:
    _, _, how, named = next(row for row in ROWS if row[0] == requirement)
    if not named:
        assert how.startswith(UNTESTED)
        return
    path, name = re.fullmatch(r"`(tests/\S+\.py)::(test_\w+)`", named).groups()
    assert f"\ndef {name}(" in (ROOT / path).read_text()


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/\S+\.py::test_\w+)`", DOCUMENT))))
def test_a_test_in_the_document_exists(named: str) -> None:
    path, name = named.split("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text()


def test_each_requirement_is_listed_once() -> None:
    numbers = Counter(re.findall(r"\b\d+\.\d+\.\d+\b", " ".join(row[0] for row in ROWS)))
    assert {number for number, count in numbers.items() if count > 1} == set()
