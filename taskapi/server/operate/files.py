"""Files of backups: created privately and completely, never over an existing file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO

from taskapi.server.operate.programs import ArchiveError


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which appears under its name when the block ends without an error.

    Only its owner can read it, also while it is being written under another name.

    Raises:
        ArchiveError: the name is taken, even if by a dangling link, or the file cannot be written.
    """
    if os.path.lexists(path):
        raise _taken(path)
    try:
        number, name = mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".unfinished")
    except OSError as error:
        raise ArchiveError(f"{path} cannot be created: {error.strerror}.") from error
    unfinished = Path(name)
    try:
        with os.fdopen(number, "w+b") as file:
            yield file
            _publish(file, unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _publish(file: IO[bytes], unfinished: Path, path: Path) -> None:
    """Rename without replacing a file, also on file systems without hard links."""
    try:
        file.flush()
        os.fsync(file.fileno())
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        unfinished.rename(path)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror}.") from error


def _taken(path: Path) -> ArchiveError:
    return ArchiveError(f"{path} exists. Specify another file, or remove it.")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file to read.

    Raises:
        ArchiveError: it cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        yield file
