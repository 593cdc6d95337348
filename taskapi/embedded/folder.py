"""The data folder, which only its owner can use.

Another user who could write to it would choose the key that signs tokens, or make root truncate a
file through a link. One who could open it could lock it and so prevent each start.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from taskapi.embedded.account import Account, shared_folder
from taskapi.embedded.errors import EmbeddedError

_DATA = ("postgres", "postgres.new")
"""These belong to the user whom PostgreSQL runs as."""

_FILES = ("postgres.log", "postgres.lock", "start.lock", "jwt.key", "jwt.new")

_MAIL = "mail"
"""Messages are written here without a mail server, also by a service with another database."""

_ELSEWHERE = "Or set TASKAPI_DATA_DIR to a directory that only this service uses."


class Folder:
    """An open data folder, created if missing.

    Only its owner can use it (mode 0700). If PostgreSQL runs as another user, that user's group can
    pass through it, but neither list nor change it (0710).

    Args:
        account: whom PostgreSQL runs as; None for this process's user.

    Raises:
        EmbeddedError: the folder, or something in it, is not ours alone.
    """

    def __init__(self, path: Path, account: Account | None) -> None:
        self.path = path
        self._account = account
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self._close_to_others()
            for name in (*_DATA, *_FILES):
                with suppress(FileNotFoundError):
                    self._check(name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._number)

    def open(self, name: str, flags: int) -> int:
        """Open a file of the folder, which is created with mode 0600; links are not followed."""
        return os.open(name, flags | os.O_NOFOLLOW, 0o600, dir_fd=self._number)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._number, dst_dir_fd=self._number)

    def unlink(self, name: str) -> None:
        """Remove a file, if there is one."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._number)

    def give_away(self, name: str) -> None:
        """Make PostgreSQL's user the owner of a directory and all its contents."""
        account = self._account
        if account is None:
            return
        for _, folders, files, number in os.fwalk(name, dir_fd=self._number):
            os.chown(number, account.uid, account.gid)
            for entry in (*folders, *files):
                os.chown(entry, account.uid, account.gid, dir_fd=number, follow_symlinks=False)

    def _close_to_others(self) -> None:
        status = os.fstat(self._number)
        if status.st_uid != os.geteuid():
            raise EmbeddedError(
                f"{self.path} belongs to {_user(status.st_uid)}, who could replace the database and"
                f" the key that signs tokens. Run this as that user. {_ELSEWHERE}"
            )
        mode = 0o710 if self._account else 0o700
        group = self._account.gid if self._account else status.st_gid
        if (stat.S_IMODE(status.st_mode), status.st_gid) == (mode, group):
            return
        with os.scandir(self._number) as entries:
            names = {entry.name for entry in entries}
        others = names - {_MAIL}
        if others and others.isdisjoint({*_DATA, *_FILES}):
            raise EmbeddedError(f"{self.path} contains other files. {_ELSEWHERE}")
        os.fchown(self._number, -1, group)
        os.fchmod(self._number, mode)

    def _check(self, name: str) -> None:
        status = os.lstat(name, dir_fd=self._number)
        path = self.path / name
        owners = {os.geteuid()}
        if self._account and name in _DATA:
            owners.add(self._account.uid)
        if stat.S_ISLNK(status.st_mode):
            raise EmbeddedError(
                f"{path} is a symbolic link. Replace it by what it points to. {_ELSEWHERE}"
            )
        if status.st_uid not in owners:
            raise EmbeddedError(
                f"{path} belongs to {_user(status.st_uid)}. If you trust its contents, change its"
                f" owner. {_ELSEWHERE}"
            )
        if name in _FILES and status.st_nlink > 1:
            raise EmbeddedError(
                f"{path} is also linked under another name. Replace it by a copy. {_ELSEWHERE}"
            )


def locate(path: Path, account: Account | None) -> Path:
    """The data folder: as specified, or below the shared directory if PostgreSQL cannot reach it.

    Raises:
        EmbeddedError: it is another user's link, or has a database that PostgreSQL cannot reach.
    """
    if path.is_symlink() and path.lstat().st_uid not in (0, os.geteuid()):
        raise EmbeddedError(f"{path} is another user's symbolic link. {_ELSEWHERE}")
    path = path.resolve()
    obstacle = account and account.obstacle(path)
    if not obstacle:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    other = shared_folder() / f"{path.name}-{digest}"
    if (path / "postgres").exists() and not other.exists():
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and its user cannot enter {obstacle}. Move the data:"
            f" mv {shlex.quote(str(path))} {shlex.quote(str(other))}"
        )
    return other


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
