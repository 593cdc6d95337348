"""Clients in separate processes: they read a plan as JSON and print their results."""

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
    """Run a module. The value is a function that waits for its end and returns its results.

    Args:
        seconds: the time limit.
    """
    command = [sys.executable, "-m", module]
    environment = os.environ | {"PYTHONPATH": str(_TESTS)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def result() -> Any:
            output, _ = process.communicate(timeout=seconds)
            assert process.returncode == 0, f"{module} failed"
            return json.loads(output)

        try:
            assert process.stdin
            process.stdin.write(json.dumps(plan) + "\n")
            process.stdin.flush()
            yield result
        finally:
            process.kill()


def run(work: Callable[..., Any]) -> None:
    """The main function of such a module: call `work` with the plan and print its result."""
    plan = json.loads(sys.stdin.readline())
    json.dump(work(**plan), sys.stdout)
