"""Rules for the source that the linters do not check."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXCEPTION = re.compile(r"#\s*(?:ruff:\s*)?(?:noqa|type:\s*ignore|fmt:\s*(?:off|skip))(?!\w)")
WITH_REASON = re.compile(
    r"# (?:(?:ruff: )?noqa: [A-Z0-9, ]+ - |type: ignore\[[\w, -]+\]  # )\w+ \w+"
)


def _without_reason(source: str) -> list[str]:
    """The lines with an exemption from a rule without a reason."""
    return [
        line
        for line in source.splitlines()
        if len(EXCEPTION.findall(line)) > len(WITH_REASON.findall(line))
    ]


def _files(*patterns: str) -> list[Path]:
    """The files of the project, tracked or new."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_each_exemption_from_a_rule_has_a_reason() -> None:
    files = _files("*.py")
    assert Path(__file__) in files
    found = {file.name: _without_reason(file.read_text()) for file in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_no_file_has_a_marker_of_a_conflict() -> None:
    markers = tuple(mark * 7 + b" " for mark in (b"<", b">"))
    assert [
        file.name
        for file in _files()
        if any(line.startswith(markers) for line in file.read_bytes().splitlines())
    ] == []


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  % noqa",
        "x = 1  % noqa: S108",
        "x = 1  % noqa: S108 - likewise",
        "x: A = b  % type: ignore",
        "x: A = b  % type: ignore[misc]",
        "% ruff: noqa: E402",
        "x = [1,]  % fmt: skip",
    ],
)
def test_an_exemption_without_a_reason_is_found(line: str) -> None:
    line = line.replace("%", "#")  # This file is checked too.
    assert _without_reason(line) == [line]
