"""Jobs for tests, and a worker that runs them as `flask worker` does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from support import databases, world
from support.databases import KEY, data_folder
from support.servers import ROOT

from taskapi.jobs import JobRejected, job

_SECONDS = 20


@job("test_append")
def append(file: str, line: str) -> None:
    """Append a line to a file."""
    with Path(file).open("a") as opened:
        opened.write(f"{line}\n")


@job("test_slow")
def slow(file: str, seconds: float) -> None:
    """Write when it begins, and after some seconds when it ends."""
    append(file, "begins")
    time.sleep(seconds)
    append(file, "ends")


@job("test_fail_once")
def fail_once(file: str) -> None:
    """Fail in the first attempt, with a text that must not be logged."""
    append(file, "attempt")
    if Path(file).read_text().count("attempt") == 1:
        raise RuntimeError("secret text of an error")


@job("test_reject")
def reject(file: str) -> None:
    append(file, "attempt")
    raise JobRejected("secret text of an error")


@job("test_chain")
def chain(file: str) -> None:
    """Queue another job."""
    append.defer(file=file, line="chained")


class Worker(NamedTuple):
    """A running worker, and its log file."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """End it, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_SECONDS)


@contextmanager
def working(database_url: str, **settings: str) -> Iterator[Worker]:
    """A worker that knows the jobs of this module; settings are environment variables."""
    command = [sys.executable, "-m", "support.work"]
    with started(command, database_url, **settings) as worker:
        yield worker


@contextmanager
def started(command: list[str], database_url: str, **settings: str) -> Iterator[Worker]:
    """A worker that this command starts."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        "FLASK_SKIP_DOTENV": "1",
        "DATABASE_URL": database_url,
        "JWT_SECRET_KEY": KEY,
        "TASKAPI_DATA_DIR": str(data_folder()),
        "RATELIMIT_ENABLED": "false",
        **settings,
    }
    with tempfile.NamedTemporaryFile("w+", prefix="taskapi-log-") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        worker = Worker(process, Path(log.name))
        try:
            until(lambda: "worker_started" in worker.log.read_text())
            yield worker
        except BaseException:
            sys.stderr.write(worker.log.read_text()[-10_000:])
            raise
        finally:
            process.kill()
            process.wait()


def until(condition: Callable[[], object], seconds: float = _SECONDS, pause: float = 0.05) -> None:
    """Wait until a condition is met."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(pause)


def rows(database_url: str, statement: str) -> list[tuple[Any, ...]]:
    """The rows that a statement returns, which is committed."""
    return world.sql(databases.settings_for(database_url), statement)


def lines(file: Path) -> list[str]:
    """The lines of a file, which may not exist yet."""
    return file.read_text().splitlines() if file.exists() else []
