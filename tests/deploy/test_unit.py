"""The systemd unit, by systemd's own judgement, and the service under what the unit forbids it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.servers import ROOT

pytestmark = [pytest.mark.deploy, pytest.mark.alone]

UNIT = ROOT / "deploy" / "taskapi.service"
MOST_EXPOSED = 2.0
"""Of 10: what systemd calls "OK" begins below 5."""


def _analyse(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


def test_systemd_finds_no_fault_in_it(run_folder: Path) -> None:
    """Its programs are those of this environment, so that they are found."""
    here = run_folder / "taskapi.service"
    here.write_text(UNIT.read_text().replace("/opt/taskapi", str(ROOT)))
    verified = _analyse("verify", "--man=no", here)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_it_is_hardly_exposed() -> None:
    judged = _analyse("security", "--offline=true", "--no-pager", UNIT)
    found = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert found, judged.stderr
    assert float(found[1]) <= MOST_EXPOSED


def test_the_call_that_hashing_needs_is_allowed() -> None:
    """systemd counts setpriority among the calls on resources, which the unit forbids."""
    filters = re.findall(r"^SystemCallFilter=(.+)$", UNIT.read_text(), re.MULTILINE)
    assert filters[-1] == "setpriority"
