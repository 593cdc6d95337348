"""Timeouts under gevent: of the database, and of idle connections."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("patience.py")


def test_many_short_waits_do_not_time_out(database_url: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), database_url],
        cwd=SCRIPT.parents[2],
        env={"PYTHONPATH": str(SCRIPT.parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
