"""The systemd unit: its verification by systemd, and the service under its restrictions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.databases import KEY
from support.servers import ROOT

pytestmark = [pytest.mark.deploy, pytest.mark.alone]

UNITS = [ROOT / "deploy" / name for name in ("taskapi.service", "taskapi-worker.service")]
MOST_EXPOSED = 2.0
"""Of 10. systemd calls values below 5 "OK"."""


def _analyse(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_verifies_the_unit(run_folder: Path, unit: Path) -> None:
    """The unit with the programs of this environment."""
    here = run_folder / unit.name
    here.write_text(unit.read_text().replace("/opt/taskapi", str(ROOT)))
    verified = _analyse("verify", "--man=no", here)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_the_exposure_of_the_unit_is_low(unit: Path) -> None:
    judged = _analyse("security", "--offline=true", "--no-pager", unit)
    found = re.search(r"exposure level for \S+: ([\d.]+)", judged.stdout)
    assert found, judged.stderr
    assert float(found[1]) <= MOST_EXPOSED


def test_the_service_needs_no_writable_executable_memory(database_url: str) -> None:
    """Compiled libraries could need what MemoryDenyWriteExecute forbids."""
    assert all("MemoryDenyWriteExecute=yes" in unit.read_text() for unit in UNITS)
    launch = (
        "import ctypes, mmap, os, sys\n"
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): sys.exit('no PR_SET_MDWE')\n"
        "try: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "except PermissionError: os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
        "sys.exit('such memory is still given')\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", launch, "-m", "gunicorn", "--check-config", "wsgi:app"],
        cwd=ROOT,
        env={"DATABASE_URL": database_url, "JWT_SECRET_KEY": KEY, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if "no PR_SET_MDWE" in loaded.stderr:
        pytest.skip("Linux before 6.3 cannot be asked for this without systemd")
    assert loaded.returncode == 0, loaded.stderr
