"""`flask serve`: migrates the database, and runs gunicorn and a worker for jobs."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from ipaddress import ip_address

import click
import psycopg

from config import Settings
from taskapi.cli import Command
from taskapi.extensions import migrate
from taskapi.runtime.parent import as_parent
from taskapi.server.health.service import SCHEMA, NotReady, TooOld, check_schema
from taskapi.server.operate.timeouts import TimeoutsError, set_timeouts

_CHECK_SECONDS = 0.2
"""How often the processes are checked."""

_RESTART_SECONDS = 5
"""The least time between two starts of a worker."""

_END_SECONDS = 25
"""The time in which a worker's jobs can end after gunicorn. Those of a killed worker run again."""


def serve_command(settings: Settings) -> click.Command:
    """The command for these settings. Their database runs as long as this process."""

    @click.command("serve", cls=Command)
    def serve() -> None:
        """Migrate the database, set its timeouts, serve it and run its jobs until Ctrl-C."""
        _require_free_port(settings)
        if not _has_schema(settings):
            click.echo("Migrating the database ...")
            migrate.upgrade()
        try:
            set_timeouts(settings)
        except TimeoutsError as error:
            click.echo(f"Warning: {error}", err=True)
        sys.exit(_Service(settings).run())

    return serve


class _Service:
    """gunicorn and a worker as child processes, which end with this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []
        self._is_ending = False

    def run(self) -> int:
        """Serve until gunicorn ends. Returns its exit code, or 0 if a signal ended it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._end)
        process = self._start("gunicorn")
        while process.poll() is None:
            if _is_live(self._settings):
                click.echo(f"taskapi is ready: {_url(self._settings)}/docs (Ctrl-C ends it)")
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        self._run_worker_beside(process)
        code = process.wait()
        return 0 if self._is_ending else code

    def _run_worker_beside(self, server: subprocess.Popen[bytes]) -> None:
        """Run a worker as long as the server runs. One that ends by itself is replaced."""
        worker, next_start = None, 0.0
        while server.poll() is None:
            is_missing = worker is None or worker.poll() is not None
            if is_missing and not self._is_ending and time.monotonic() >= next_start:
                worker = self._start("flask", "worker")
                next_start = time.monotonic() + _RESTART_SECONDS
            time.sleep(_CHECK_SECONDS)
        if worker:
            worker.terminate()
            with suppress(subprocess.TimeoutExpired):
                worker.wait(_END_SECONDS)
            worker.kill()
            worker.wait()

    def _start(self, *module: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env=os.environ | _environment(self._settings) | as_parent(),
            # Ctrl-C reaches the process group of this process. Only this process reacts to it.
            process_group=0,
        )
        running = [process for process in self._processes if process.poll() is None]
        self._processes = [*running, process]
        if self._is_ending:
            process.terminate()
        return process

    def _end(self, number: int, frame: object) -> None:
        self._is_ending = True
        for process in self._processes:
            process.terminate()


def _require_free_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in (settings.host or "") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            sys.exit(
                f"taskapi cannot listen on port {settings.port} of {settings.host}:"
                f" {error.strerror}. Stop what uses it, or choose another with PORT."
            )


def _has_schema(settings: Settings) -> bool:
    url = settings.database_url_direct or settings.database_url or ""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            row = connection.execute(SCHEMA.personal.sql).fetchone()
    except psycopg.errors.UndefinedTable:
        return False
    except psycopg.Error as error:
        sys.exit(f"taskapi cannot reach its database: {error}".strip())
    if row is None:
        return False
    try:
        check_schema(*row)
    except TooOld as problem:
        sys.exit(f"taskapi cannot start: {problem}")
    except NotReady:
        return False
    return True


def _environment(settings: Settings) -> dict[str, str]:
    """The settings that were determined here, for gunicorn's workers."""
    return {
        "DATABASE_URL": settings.database_url or "",
        "DATABASE_PREPARE": str(settings.database_prepare).lower(),
        "JWT_SECRET_KEY": settings.jwt_secret_key or "",
        "TASKAPI_DATA_DIR": str(settings.taskapi_data_dir),
        "HOST": settings.host or "",
        "PORT": str(settings.port),
        "LOG_FORMAT": settings.log_format or "",
    }


def _reachable(settings: Settings) -> str:
    """The host for requests: the loopback address if the service listens on all addresses."""
    host = settings.host or ""
    with suppress(ValueError):  # it is a name
        address = ip_address(host)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "::1"
    return host


def _url(settings: Settings) -> str:
    host = _reachable(settings)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _is_live(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(_reachable(settings), settings.port, timeout=5)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
