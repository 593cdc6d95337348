"""Two concurrent first starts on one empty database: it is migrated once, and both serve."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import httpx
import pytest
from support import databases
from support.place import Figures, sql
from support.servers import ROOT, free_port
from support.writers import person

from taskapi.server.health.service import migration_head

pytestmark = [pytest.mark.faults, pytest.mark.alone]

PATIENCE = 60


class Start(NamedTuple):
    """`flask serve` and its output."""

    url: str
    process: subprocess.Popen[bytes]
    log: IO[str]

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while "taskapi is ready" not in self.output():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.02)


@contextmanager
def _starting(database_url: str) -> Iterator[Start]:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "FLASK_SKIP_DOTENV": "1",
        "DATABASE_URL": database_url,
        "JWT_SECRET_KEY": databases.KEY,
        "BCRYPT_ROUNDS": "4",
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }
    command = [sys.executable, "-m", "flask", "serve"]
    with tempfile.TemporaryFile("a+") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield Start(f"http://127.0.0.1:{port}", process, log)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_two_concurrent_first_starts_both_serve(faults_folder: Path, figures: Figures) -> None:
    with databases.server(faults_folder, is_durable=True) as server_url, ExitStack() as stack:
        url = databases.create(server_url, f"empty_{time.monotonic_ns()}")
        begun = time.monotonic()
        both = [stack.enter_context(_starting(url)) for _ in range(2)]
        for one in both:
            one.wait()
        figures.add_seconds("both ready after", time.monotonic() - begun)
        figures.add("migrated by", sum("Migrating" in one.output() for one in both))
        assert sql(url, "SELECT version_num FROM alembic_version") == [(migration_head(),)]
        for one in both:
            assert httpx.get(f"{one.url}/readyz").status_code == 200
        first, second = both
        with person(first.url) as client:
            task = client.post("/tasks", json={"title": "Shared"}).raise_for_status().json()
            assert client.get(f"{second.url}/tasks/{task['id']}").json() == task
    for one in both:
        assert one.process.returncode == 0
