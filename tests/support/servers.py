"""The service as users run it: gunicorn with gevent workers, on a free port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
from support.databases import KEY, data_folder

ROOT = Path(__file__).parents[2]
_START_SECONDS = 30
_STOP_SECONDS = 15


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service(NamedTuple):
    """The running service and its log file."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def workers(self) -> list[int]:
        """The process IDs of its workers."""
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def serving(database_url: str, app: str = "wsgi:app", **settings: str) -> Iterator[str]:
    """The base URL of the running service; settings are environment variables."""
    with started(database_url, app, **settings) as service:
        yield service.url


@contextmanager
def started(
    database_url: str, app: str = "wsgi:app", files: int | None = None, **settings: str
) -> Iterator[Service]:
    """The running service; settings are environment variables.

    Args:
        files: the most files that a process of the service can have open.
    """
    port = int(settings.get("PORT") or free_port())
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database_url,
        "JWT_SECRET_KEY": KEY,
        "TASKAPI_DATA_DIR": str(data_folder()),
        "BCRYPT_ROUNDS": "4",
        "RATELIMIT_ENABLED": "false",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
        **settings,
    }
    command = ["prlimit", f"--nofile={files}:{files}"] if files else []
    command += [sys.executable, "-m", "gunicorn", app]
    with tempfile.NamedTemporaryFile("w+", prefix="taskapi-log-") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            service = Service(url, server, Path(log.name))
            _wait(service, int(environment["WEB_CONCURRENCY"]))
            yield service
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-20_000:])
            raise
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(service: Service, workers: int) -> None:
    """Wait until it responds and all its workers run."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise RuntimeError(f"the service ended with status {service.process.returncode}")
        with suppress(httpx.HTTPError):
            httpx.get(f"{service.url}/livez", timeout=1).raise_for_status()
            if len(service.workers()) == workers:
                return
        time.sleep(0.05)
    raise TimeoutError("the service did not start")
