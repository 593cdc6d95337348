"""PgBouncer in transaction mode with few connections, in front of a database."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import conninfo
from support.servers import free_port

POOL_SIZE = 3
KEPT_BY_IT = {"application_name", "client_encoding", "DateStyle", "TimeZone"}
"""Client settings that PgBouncer applies to each connection that the client gets."""

_START_SECONDS = 10
_SESSION_SETTINGS = "SELECT name, setting FROM pg_settings WHERE source = 'session'"


class Bouncer(NamedTuple):
    """A running PgBouncer."""

    url: str
    version: tuple[int, int]

    @property
    def carries_prepared_statements(self) -> bool:
        return self.version >= (1, 22)

    def leaked_settings(self) -> dict[str, str]:
        """Settings that sessions have left on its connections to the database."""
        leaked: dict[str, str] = {}
        with ExitStack() as stack:
            for _ in range(POOL_SIZE):  # each holds one connection until its transaction ends
                connection = stack.enter_context(psycopg.connect(self.url, prepare_threshold=None))
                leaked |= dict(connection.execute(_SESSION_SETTINGS).fetchall())
        return {name: value for name, value in leaked.items() if name not in KEPT_BY_IT}


@contextmanager
def bouncing(database_url: str, folder: Path) -> Iterator[Bouncer]:
    """PgBouncer in front of a database.

    Args:
        folder: the directory for its configuration.

    Raises:
        RuntimeError: it is not installed, or it does not start.
    """
    about, port = conninfo.conninfo_to_dict(database_url), free_port()
    max_prepared = "max_prepared_statements = 200" if version() >= (1, 21) else ""
    configuration = f"""
[databases]
* = host={about["host"]} port={about["port"]} user={about["user"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {POOL_SIZE}
{max_prepared}
"""
    with running(configuration, port, folder, _owner(Path(about["host"]))):
        url = f"postgresql://{about['user']}@127.0.0.1:{port}/{about['dbname']}?sslmode=disable"
        yield Bouncer(url, version())


@contextmanager
def running(configuration: str, port: int, folder: Path, account: dict[str, Any]) -> Iterator[Path]:
    """PgBouncer with a configuration that listens on a port. The value is its log file.

    Args:
        folder: the directory for its configuration.
        account: the operating system user, as arguments of Popen.

    Raises:
        RuntimeError: it is not installed, or it does not start.
    """
    file, log = folder / "pgbouncer.ini", folder / "pgbouncer.log"
    file.write_text(configuration)
    with log.open("w") as output:
        process = subprocess.Popen([_program(), str(file)], stdout=output, stderr=output, **account)
    try:
        _wait(port, process, log)
        yield log
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _program() -> str:
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        raise RuntimeError("No pgbouncer was found: install it (sudo apt-get install pgbouncer).")
    return program


def version() -> tuple[int, int]:
    """The version of the installed PgBouncer."""
    result = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)\.(\d+)", result.stdout)
    assert found
    return int(found[1]), int(found[2])


def _owner(sockets: Path) -> dict[str, Any]:
    """The user to run it as: for root, the owner of the directory of the database's socket."""
    if os.geteuid() != 0:
        return {}
    about = sockets.stat()
    return {"user": about.st_uid, "group": about.st_gid, "extra_groups": []}


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"pgbouncer does not start: {log.read_text()}")
