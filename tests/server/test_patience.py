"""Time limits under gevent: for the database's response, and for the next request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("patience.py")


def test_waiting_many_times_is_not_waiting_for_long(database_url: str) -> None:
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
