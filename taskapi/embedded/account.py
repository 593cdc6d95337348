"""Whom the server runs as, and what that user must be able to reach."""

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
"""Whom the server runs as when we are root: PostgreSQL refuses to run as root."""


def account_for(data: Path, binaries: Path) -> dict[str, Any]:
    """Whom to run the server as: ourselves, or as root the one whom the data belongs to.

    Raises:
        EmbeddedError: there is no such user, and none can be made.
    """
    if os.geteuid() != 0:
        return {}
    owner = data.stat().st_uid if data.exists() else 0
    try:
        account = pwd.getpwuid(owner) if owner else _system_user()
    except KeyError:
        raise EmbeddedError(
            f"{data} belongs to user {owner}, who is unknown here. Give it to one who is known."
        ) from None
    if data.exists() and not owner:  # A copy that root has made.
        for path in (data, *data.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    _let_pass(account, data, binaries)
    if not (binaries / "postgres").stat().st_mode & stat.S_IXOTH:
        package = binaries.parents[1]
        for folder in filter(Path.exists, (package, package.with_suffix(".libs"))):
            _let_others_read(folder)
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
        "PostgreSQL refuses to run as root, and no system user can be made for it"
        f" ({reason}). Run this as another user, or set DATABASE_URL."
    )


def _let_pass(account: pwd.struct_passwd, *paths: Path) -> None:
    for folder in sorted({parent for path in paths for parent in path.parents}):
        about = folder.stat()
        if not about.st_mode & stat.S_IXOTH and about.st_uid != account.pw_uid:
            sys.stderr.write(
                f"chmod o+x {folder}: PostgreSQL does not run as root and must pass through\n"
            )
            folder.chmod(stat.S_IMODE(about.st_mode) | stat.S_IXOTH)


def _let_others_read(folder: Path) -> None:
    """Repair a package that was installed under a strict umask."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
