"""Clients as processes of their own: they read what to do as JSON, and print what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_TESTS = Path(__file__).parents[1]


@contextmanager
def running(module: str, plan: dict[str, Any], seconds: float) -> Iterator[Callable[[], Any]]:
    """A module at work; what is called to wait for its end and get what it says.

    Args:
        seconds: how long it may take.
    """
    command = [sys.executable, "-m", module]
    environment = os.environ | {"PYTHONPATH": str(_TESTS)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def result() -> Any:
            said, _ = process.communicate(timeout=seconds)
            assert process.returncode == 0, f"{module} failed"
            return json.loads(said)

        try:
            assert process.stdin
            process.stdin.write(json.dumps(plan) + "\n")
            process.stdin.flush()
            yield result
        finally:
            process.kill()


def run(work: Callable[..., Any]) -> None:
    """Be such a program: call `work` with the plan's values, and print what it gives."""
    plan = json.loads(sys.stdin.readline())
    json.dump(work(**plan), sys.stdout)
