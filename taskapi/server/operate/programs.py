"""Runs PostgreSQL's own programs, `pg_dump` and `pg_restore`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from psycopg import pq

from taskapi import embedded


class ArchiveError(Exception):
    """The backup or restore failed. The message gives the reason and a remedy."""


class Programs:
    """The programs for a server; they must not be older than it.

    Args:
        version: the server's major version.
    """

    def __init__(self, version: int) -> None:
        self._version = version

    def dump(self, url: str, file: IO[bytes], *options: str, log: Callable[[str], None]) -> None:
        """Write an archive of the database to an open file.

        Args:
            log: receives each line of `pg_dump --verbose`.

        Raises:
            ArchiveError: `pg_dump` failed.
        """
        # Not the file's name, which could name another file by now. To its standard output,
        # pg_dump would write the table of contents twice.
        number = file.fileno()
        output = ("--format=custom", f"--file=/dev/fd/{number}")
        command = [self._path("pg_dump"), "--verbose", *output, *options]
        last = ""
        # The URL has a password, and every user of the machine can read a process's arguments.
        with subprocess.Popen(
            command,
            env=os.environ | _environment(url),
            pass_fds=[number],
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr
            for line in process.stderr:
                last = line.decode(errors="replace").strip()
                log(last)
        if process.returncode:
            raise ArchiveError(f"pg_dump failed: {last}")

    @contextmanager
    def data(self, archive: IO[bytes], table: str | None = None) -> Iterator[IO[bytes]]:
        """The data of an archive as SQL text. pg_restore executes nothing: it has no database.

        Args:
            table: the only table to read.

        Raises:
            ArchiveError: the file is not an archive, or is damaged.
        """
        command = [self._path("pg_restore"), "--data-only", "--file=-"]
        if table:
            command.append(f"--table={table}")
        os.lseek(archive.fileno(), 0, os.SEEK_SET)
        with subprocess.Popen(
            command, stdin=archive, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout
            assert process.stderr
            try:
                yield process.stdout
            except BaseException:
                process.kill()
                raise
            said = process.stderr.read().decode(errors="replace").strip()
        if process.returncode:
            raise ArchiveError(
                f"The file cannot be read as an archive of PostgreSQL, or is damaged: {said}"
            )

    def _path(self, program: str) -> str:
        on_path = [Path(found).parent for found in [shutil.which(program)] if found]
        for folder in [*on_path, *embedded.programs()]:
            path = folder / program
            shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            version = re.search(r"\b(\d+)", shown.stdout)
            if version and int(version[1]) >= self._version:
                return str(path)
        raise ArchiveError(
            f"{program} of PostgreSQL {self._version} or newer is required, and is not on the PATH."
            f" On Debian and Ubuntu: apt-get install postgresql-client-{self._version}"
        )


def _environment(url: str) -> dict[str, str]:
    """The parameters of a URL as environment variables of libpq."""
    options = pq.Conninfo.parse(url.encode())
    return {o.envvar.decode(): o.val.decode() for o in options if o.envvar and o.val is not None}
