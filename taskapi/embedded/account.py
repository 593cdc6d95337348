"""The system user of the server, and its access to the files."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from taskapi.embedded.errors import EmbeddedError

_SYSTEM_USER = "pgserver"
"""The user of the server if this process runs as root, because PostgreSQL refuses to."""


def account_for(data: Path, binaries: Path) -> dict[str, Any]:
    """The user to run the server as, as arguments of `Popen`: as root, the owner of the data.

    Raises:
        EmbeddedError: there is no such user, and it cannot be created.
    """
    if os.geteuid() != 0:
        return {}
    owner = data.stat().st_uid if data.exists() else 0
    try:
        account = pwd.getpwuid(owner) if owner else _system_user()
    except KeyError:
        raise EmbeddedError(
            f"{data} belongs to user {owner}, who does not exist. Change its owner."
        ) from None
    if data.exists() and not owner:  # A copy that root created.
        for path in (data, *data.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    _grant_traversal(account, data, binaries)
    if not (binaries / "postgres").stat().st_mode & stat.S_IXOTH:
        package = binaries.parents[1]
        for folder in filter(Path.exists, (package, package.with_suffix(".libs"))):
            _grant_reading(folder)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _system_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(_SYSTEM_USER)
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    command.append(_SYSTEM_USER)
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        return pwd.getpwnam(_SYSTEM_USER)
    except FileNotFoundError as error:
        reason = str(error)
    except KeyError:
        reason = made.stderr.strip()
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and no system user could be created for it"
        f" ({reason}). Run this as another user, or set DATABASE_URL."
    )


def _grant_traversal(account: pwd.struct_passwd, *paths: Path) -> None:
    for folder in sorted({parent for path in paths for parent in path.parents}):
        about = folder.stat()
        if not about.st_mode & stat.S_IXOTH and about.st_uid != account.pw_uid:
            sys.stderr.write(
                f"chmod o+x {folder}: PostgreSQL does not run as root and must traverse it\n"
            )
            folder.chmod(stat.S_IMODE(about.st_mode) | stat.S_IXOTH)


def _grant_reading(folder: Path) -> None:
    """Repair a package that was installed under a strict umask."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
