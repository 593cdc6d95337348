"""The Procfile. Each line runs as on Heroku: in a shell, configured by the environment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest
from support import databases, jobs
from support.servers import ROOT, free_port
from support.writers import person

pytestmark = pytest.mark.processes

PATIENCE = 30
LINES = dict(re.findall(r"^([\w-]+): *(.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE))


def test_a_release_is_migrated_and_then_served(server_url: str) -> None:
    url = databases.create(server_url, f"procfile_{os.getpid()}")
    port = free_port()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE_URL": url.replace("postgresql://", "postgres://"),
        "JWT_SECRET_KEY": databases.KEY,
        "PORT": str(port),
        "WEB_CONCURRENCY": "3",
        # On Heroku it listens on every address; a test does not.
        "HOST": "127.0.0.1",
        "FLASK_SKIP_DOTENV": "1",
    }
    assert LINES.keys() == {"release", "web", "worker"}
    subprocess.run(["bash", "-c", LINES["release"]], cwd=ROOT, env=environment, check=True)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        timeout = connection.execute("SHOW statement_timeout").fetchone()
    assert timeout == ("3s",)
    assert found == ((ROOT / "migrations" / "head.txt").read_text().strip(),)

    web = subprocess.Popen(["bash", "-c", f"exec {LINES['web']}"], cwd=ROOT, env=environment)
    try:
        _until_ready(f"http://127.0.0.1:{port}")
        with person(f"http://127.0.0.1:{port}") as client:
            assert client.post("/tasks", json={"title": "Released"}).status_code == 201
        children = Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text().split()
        assert len(children) == 3
        web.send_signal(signal.SIGTERM)
        assert web.wait(PATIENCE) == 0
    finally:
        web.kill()
        web.wait()

    worker = [
        "bash",
        "-c",
        f"exec {LINES['worker']}",
    ]
    with jobs.started(worker, url, **environment) as running:
        assert running.stop() == 0


def _until_ready(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            httpx.get(f"{url}/readyz", timeout=2).raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return
