"""Prints a table of the results of the long suites.

A test adds a figure by pytest's `record_property("slowest answer", "1.8 s")`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

SUITES = {"faults", "security", "load", "neighbours", "deploy"}
"""The markers of these suites."""

_OUTCOMES = ("failed", "error", "skipped", "passed")


@dataclass
class _Line:
    """One test function with all its cases, of which the worst are added first."""

    outcomes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    figures: dict[str, object] = field(default_factory=dict)

    def add(self, outcome: str, report: pytest.TestReport) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.seconds += report.duration
        self.figures = dict(report.user_properties) | self.figures

    def __str__(self) -> str:
        counts = ", ".join(f"{self.outcomes[o]} {o}" for o in _OUTCOMES if o in self.outcomes)
        figures = "; ".join(f"{name} {value}" for name, value in self.figures.items())
        return f"{counts:<12} {self.seconds:6.1f} s  {figures}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each test if one suite was run."""
    if terminalreporter.config.option.markexpr not in SUITES:
        return
    reports = [
        (outcome, report)
        for outcome in _OUTCOMES
        for report in terminalreporter.stats.get(outcome, [])
    ]
    lines = _lines(reports)
    terminalreporter.section("summary")
    width = max(map(len, lines), default=0)
    for name, line in sorted(lines.items()):
        terminalreporter.write_line(f"{name:<{width}}  {line}")


def _lines(reports: Iterable[tuple[str, pytest.TestReport]]) -> dict[str, _Line]:
    lines: dict[str, _Line] = {}
    for outcome, report in reports:
        name = report.nodeid.partition("[")[0].rpartition("::")[2]
        readable = name.removeprefix("test_").replace("_", " ")
        lines.setdefault(readable, _Line()).add(outcome, report)
    return lines
