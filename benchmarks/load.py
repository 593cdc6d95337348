"""Loads a server with wrk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_SCRIPT = Path(__file__).with_name("wrk.lua")
_TIMEOUT = 30
_MARK = "RESULT "


class Load(NamedTuple):
    """The results of wrk; times in milliseconds."""

    requests: int
    seconds: float
    bytes: int
    p50: float
    p95: float
    p99: float
    slowest: float
    refused: int
    late: int
    broken: int

    @property
    def errors(self) -> int:
        """Responses with a status of 400 or more, timeouts, and broken connections."""
        return self.refused + self.late + self.broken


def need_wrk() -> None:
    """Check that wrk is installed. As root on Debian, install it.

    Raises:
        SystemExit: it is missing and cannot be installed.
    """
    if shutil.which("wrk"):
        return
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or not apt:
        sys.exit("wrk, which makes the load, is missing. On Debian: sudo apt-get install wrk")
    sys.stderr.write("Installing wrk with apt-get ...\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-y", "-qq", "--no-install-recommends", "wrk"]
    for command in ([apt, "update", "-qq"], install):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    if not shutil.which("wrk"):
        sys.exit("wrk could not be installed, as apt-get says above.")


def load(port: int, requests: Sequence[str], *, connections: int, seconds: int) -> Load:
    """Send these raw requests in turn. Each connection sends the next one without pause.

    Raises:
        RuntimeError: wrk failed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as table:
        # A JSON string in ASCII is a Lua string too.
        table.write("return {\n" + "".join(f"{json.dumps(text)},\n" for text in requests) + "}\n")
        table.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={_TIMEOUT}s"]
        ran = subprocess.run(
            [*command, "--latency", f"--script={_SCRIPT}", f"http://127.0.0.1:{port}/"],
            env=os.environ | {"REQUESTS": table.name},
            capture_output=True,
            text=True,
            timeout=seconds + 2 * _TIMEOUT,
            check=False,
        )
    for line in ran.stdout.splitlines():
        if line.startswith(_MARK):
            return Load(**json.loads(line.removeprefix(_MARK)))
    raise RuntimeError(f"wrk failed: {ran.stdout}{ran.stderr}")
