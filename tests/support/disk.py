"""A small disk that tests can fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_PIECE = bytes(4_096)


class Disk(NamedTuple):
    """A file system in memory."""

    folder: Path

    @property
    def _filling(self) -> Path:
        return self.folder / "filling"

    def fill(self) -> None:
        """Fill it completely."""
        with suppress(OSError), self._filling.open("ab", buffering=0) as file:
            while True:
                file.write(_PIECE)

    def free(self) -> None:
        """Free the space again."""
        self._filling.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of this size in a new directory.

    Raises:
        RuntimeError: it cannot be mounted, which needs root.
    """
    folder.mkdir()
    options = f"size={megabytes}m,mode=755"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise RuntimeError(f"A small disk takes root and mount(8): {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
