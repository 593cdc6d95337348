"""The processes of the benchmark: the service, the floor, and the delaying proxy."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from benchmarks import usage
from benchmarks.databases import KEY, ROOT, Cluster
from config import Settings

FLOOR = "floor"
SERVICE = "service"
OTHER = "other"

_START_SECONDS = 30
_STOP_SECONDS = 10

_GUNICORN = (sys.executable, "-m", "gunicorn")
_READ_GUNICORN_SETTINGS = """
import json, runpy
from gunicorn.config import KNOWN_SETTINGS
found = runpy.run_path("gunicorn.conf.py")
names = {setting.name for setting in KNOWN_SETTINGS} & found.keys()
names -= {"bind", "proc_name", "worker_class", "wsgi_app", "logger_class"}
plain = (str, int, float, type(None))
print(json.dumps({name: found[name] for name in names if isinstance(found[name], plain)}))
"""


@dataclass(frozen=True)
class Peer:
    """One of the compared servers."""

    name: str
    command: Sequence[str] = (*_GUNICORN, "wsgi:app")
    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A running peer."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def until_ready(self) -> None:
        """Wait for its first response.

        Raises:
            RuntimeError: it has ended, or does not respond.
        """
        _until(lambda: _answers(self), f"{self.name} did not start; see its log", self.process)

    @property
    def pid(self) -> int:
        """The process ID of its main process."""
        return self.process.pid

    def memory(self) -> usage.Memory:
        """The memory of the largest worker."""
        found = [usage.memory(pid) for pid in usage.children(self.pid)]
        return usage.Memory(max(one.rss for one in found), max(one.pss for one in found))

    def call(
        self, method: str, path: str, token: str = "", body: object = None, **headers: str
    ) -> tuple[HTTPResponse, Any]:
        """A response: its text and its JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_START_SECONDS)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            content = response.read()
            return response, json.loads(content) if content else None
        finally:
            connection.close()


def service() -> Peer:
    """The service of this working tree."""
    return Peer(SERVICE)


def floor(statements: Mapping[str, Any], folder: Path) -> Peer:
    """The floor with these statements and the service's gunicorn settings."""
    environment = _environment("postgresql:///", 1)
    settings = subprocess.run(
        [sys.executable, "-c", _READ_GUNICORN_SETTINGS],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    setup = folder / "floor.json"
    setup.write_text(
        json.dumps(
            {
                "key": KEY,
                "pool_size": Settings().database_pool_size,
                "statements": statements,
                "gunicorn": json.loads(settings.stdout),
            }
        )
    )
    conf = str(ROOT / "benchmarks" / "floor_settings.py")
    return Peer(FLOOR, (*_GUNICORN, "-c", conf), environment={"FLOOR": str(setup)})


@contextmanager
def serving(peer: Peer, database_url: str, logs: Path) -> Iterator[Server]:
    """Start a peer on a free port with production settings and a log file."""
    port = _free_port()
    environment = {**_environment(database_url, port), **peer.environment}
    with (logs / f"{peer.name}.log").open("a") as log:
        process = _start(peer.command, cwd=peer.folder, env=environment, stdout=log, stderr=log)
        with _ended(process):
            yield Server(peer.name, port, process)


@contextmanager
def delaying(cluster: Cluster, folder: Path, seconds: float) -> Iterator[int]:
    """Start a delaying proxy with a socket in this directory. Returns its process ID."""
    folder.mkdir(exist_ok=True)
    listen = folder / cluster.socket.name
    listen.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.delay"]
    process = _start([*command, str(listen), str(cluster.socket), str(seconds)], cwd=ROOT)
    with _ended(process):
        _until(listen.exists, "the delaying proxy did not start", process)
        yield process.pid


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(database_url: str, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database_url,
        # There is no pooler.
        "DATABASE_PREPARE": "true",
        "JWT_SECRET_KEY": KEY,
        "RATELIMIT_ENABLED": "false",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
    }


def _start(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, **options)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(server: Server) -> bool:
    try:
        server.call("GET", "/livez")
    except OSError:
        return False
    return True


def _until(event: Callable[[], bool], failure: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not event():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(failure)
        time.sleep(0.05)
