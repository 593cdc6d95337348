"""PostgreSQL as a provider runs it, with TLS and SCRAM, optionally behind PgBouncer.

The server is the system's, because the embedded one is built without TLS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from support import pgbouncer
from support.servers import free_port

from taskapi.embedded.account import run_as, system_account

PASSWORD = "only-for-tests"
_START_SECONDS = 20
_INSTALLED = Path("/usr/lib/postgresql")


class Certificates(NamedTuple):
    """A test authority, and the key and certificate of 127.0.0.1 that it signed."""

    authority: Path
    certificate: Path
    key: Path


class Database(NamedTuple):
    """A database with TLS and SCRAM."""

    port: int
    certificates: Certificates
    account: dict[str, Any]

    def url(self, user: str = "app", port: int | None = None, **parameters: str) -> str:
        """The URL for a role, directly or through another port."""
        asked = {"sslmode": "verify-full", "sslrootcert": self.certificates.authority} | parameters
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{port or self.port}/taskapi?{query}"


def certificates(folder: Path) -> Certificates:
    """Create an authority and a certificate for 127.0.0.1."""
    authority, certificate, key = (folder / name for name in ("ca.crt", "server.crt", "server.key"))
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    new += ["-days", "2"]
    _openssl(*new, "-subj", "/CN=taskapi tests", "-keyout", folder / "ca.key", "-out", authority)
    _openssl(
        *[*new, "-CA", authority, "-CAkey", folder / "ca.key", "-subj", "/CN=127.0.0.1"],
        *["-addext", "subjectAltName=IP:127.0.0.1"],
        *["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate],
    )
    return Certificates(authority, certificate, key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@contextmanager
def database(folder: Path) -> Iterator[Database]:
    """A new server with an empty database `taskapi` that the role `app` owns.

    Raises:
        RuntimeError: no PostgreSQL is installed, or it does not start.
    """
    binaries, data, port = _binaries(), folder / "data", free_port()
    made = certificates(folder)
    data.mkdir(mode=0o700)
    user = system_account()
    if user:
        for path in (folder, data, made.key):
            os.chown(path, user.uid, user.gid)
    account = run_as(user)
    _initialise(binaries, data, account)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "ssl": "on",
        "ssl_cert_file": made.certificate,
        "ssl_key_file": made.key,
        "fsync": "off",
    }
    command = [binaries / "postgres", "-D", data]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    log = folder / "postgres.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd="/", stdout=output, stderr=output, **account)
    there = Database(port, made, account)
    try:
        _provide(there, process, log)
        yield there
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown
        process.wait(_START_SECONDS)


def _binaries() -> Path:
    """The programs of the newest installed PostgreSQL."""
    found = [one.parent for one in _INSTALLED.glob("*/bin/postgres")]
    if not found:
        raise RuntimeError("No PostgreSQL was found: install it (sudo apt-get install postgresql).")
    return max(found, key=lambda path: int(path.parent.name))


def _initialise(binaries: Path, data: Path, account: dict[str, Any]) -> None:
    password = data.with_name("password")
    password.write_text(PASSWORD)
    command = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256"]
    command += [f"--pwfile={password}", "--encoding=UTF8", "--no-locale"]
    subprocess.run(command, cwd="/", capture_output=True, check=True, **account)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")


def _provide(there: Database, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    administrator = there.url("postgres").replace("/taskapi?", "/postgres?")
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(psycopg.OperationalError):
            with psycopg.connect(administrator, autocommit=True) as connection:
                role = sql.SQL("CREATE ROLE app LOGIN PASSWORD {}").format(PASSWORD)
                connection.execute(role)
                connection.execute("CREATE DATABASE taskapi OWNER app")
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL does not start: {log.read_text()}")


@contextmanager
def bouncing(there: Database, folder: Path) -> Iterator[int]:
    """PgBouncer in transaction mode with TLS and SCRAM on both sides. The value is its port."""
    port, made = free_port(), there.certificates
    # With the password instead of its SCRAM verifier, PgBouncer can also log in as this role.
    users = folder / "users.txt"
    users.write_text(f'"app" "{PASSWORD}"\n')
    configuration = f"""
[databases]
taskapi = host=127.0.0.1 port={there.port} dbname=taskapi
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = {pgbouncer.POOL_SIZE}
auth_type = scram-sha-256
auth_file = {users}
client_tls_sslmode = require
client_tls_cert_file = {made.certificate}
client_tls_key_file = {made.key}
server_tls_sslmode = verify-full
server_tls_ca_file = {made.authority}
"""
    with pgbouncer.running(configuration, port, folder, there.account):
        yield port
