"""Backups: PostgreSQL archives of a snapshot, whose rows are counted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import IsolationLevel, pq, sql

from taskapi import embedded

Counts = dict[str, int]
Say = Callable[[str], None]

_TRANSIENT = "rate_limits"
"""A table of counters, which is not backed up."""

_TABLE = re.compile(r'(?:dumping contents of|processing data for) table "public\.(\w+)"')
_COPY = re.compile(rb"COPY public\.(\w+) ")


class ArchiveError(Exception):
    """A backup or restore failed. The message says why, and what to do."""


def back_up(url: str, file: Path, say: Say) -> Counts:
    """Write a snapshot of all data to a file.

    The file gets its name only when it is complete: its rows have been counted.

    Args:
        url: the URL of the database without a pooler.
        say: is called with lines about the progress.

    Returns:
        The number of rows of each table.

    Raises:
        ArchiveError: the backup failed.
    """
    if file.exists():
        raise ArchiveError(f"{file} already exists. Choose another file, or delete it.")
    unfinished = file.with_name(f"{file.name}.unfinished")
    with _connected(url) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        programs = _Programs(url, connection)
        snapshot = _value(connection, "SELECT pg_export_snapshot()")
        counts = _counts(connection)
        what = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"]
        without = f"--exclude-table-data={_TRANSIENT}"
        try:
            programs.run("pg_dump", *what, without, f"--file={unfinished}", counts=counts, say=say)
            found = programs.rows_in(unfinished)
            if found != counts:
                raise ArchiveError(f"The archive is incomplete. It has {found} of {counts} rows.")
            unfinished.rename(file)
        finally:
            unfinished.unlink(missing_ok=True)
    return counts


def bring_back(url: str, file: Path, say: Say) -> Counts:
    """Restore a file into an empty database, in one transaction.

    Args:
        url: the URL of the database without a pooler.
        say: is called with lines about the progress.

    Returns:
        The number of rows of each table.

    Raises:
        ArchiveError: the restore failed.
    """
    with _connected(url) as connection:
        connection.autocommit = True
        if _tables(connection):
            raise ArchiveError(
                "The database is not empty. Set DATABASE_URL to a database without tables."
            )
        programs = _Programs(url, connection)
        counts = programs.rows_in(file)
        whole = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
        name = f"--dbname={connection.info.dbname}"
        programs.run("pg_restore", *whole, name, str(file), counts=counts, say=say)
        connection.execute("ANALYZE")
        found = _counts(connection)
    if found != counts:
        raise ArchiveError(f"The restore is incomplete. It has {found} of {counts} rows.")
    return found


class _Programs:
    """PostgreSQL's programs, which must not be older than the server."""

    def __init__(self, url: str, connection: psycopg.Connection) -> None:
        # Not as arguments, which other users of the machine can read.
        self._environment = os.environ | _environment(url)
        self._version = connection.info.server_version // 10_000

    def run(self, program: str, *arguments: str, counts: Mapping[str, int], say: Say) -> None:
        """Run a program, and report each table that it processes."""
        with self._started(program, "--verbose", *arguments, stderr=subprocess.PIPE) as process:
            assert process.stderr
            last = ""
            for line in process.stderr:
                last = line.decode(errors="replace").strip()
                table = _TABLE.search(last)
                if table and table[1] in counts:
                    say(f"{table[1]}: {counts[table[1]]:,} rows")
        if process.returncode:
            raise ArchiveError(f"{program} failed: {last}")

    def rows_in(self, file: Path) -> Counts:
        """The number of rows of each table in an archive, by reading all of it."""
        counts: Counts = {}
        arguments = ["--data-only", "--file=-", str(file)]
        with self._started("pg_restore", *arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout
            for line in process.stdout:
                copy = _COPY.match(line)
                if copy:
                    table = copy[1].decode()
                    counts[table] = 0
                    for row in process.stdout:
                        if row == b"\\.\n":
                            break
                        counts[table] += 1
        if process.returncode:
            raise ArchiveError(f"{file} is not a PostgreSQL archive, or is damaged.")
        return dict(sorted(counts.items()))

    def _started(
        self, program: str, *arguments: str, stdout: int | None = None, stderr: int | None = None
    ) -> subprocess.Popen[bytes]:
        command = [str(self._path(program)), *arguments]
        return subprocess.Popen(command, env=self._environment, stdout=stdout, stderr=stderr)

    def _path(self, program: str) -> Path:
        beside = [Path(found).parent for found in [shutil.which(program)] if found]
        for folder in [*beside, *embedded.programs()]:
            path = folder / program
            output = subprocess.run(
                [path, "--version"], capture_output=True, text=True, check=False
            )
            version = re.search(r"\b(\d+)", output.stdout)
            if version and int(version[1]) >= self._version:
                return path
        raise ArchiveError(
            f"{program} of PostgreSQL {self._version} or newer was not found on the PATH."
            f" On Debian and Ubuntu: apt-get install postgresql-client-{self._version}"
        )


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url, application_name="taskapi-archive") as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise ArchiveError(f"The database does not respond: {error}") from error


def _environment(url: str) -> dict[str, str]:
    """The environment variables of PostgreSQL's programs for a URL."""
    options = pq.Conninfo.parse(url.encode())
    return {o.envvar.decode(): o.val.decode() for o in options if o.envvar and o.val is not None}


def _value(connection: psycopg.Connection, statement: str) -> str:
    row = connection.execute(statement.encode()).fetchone()
    assert row
    return str(row[0])


def _tables(connection: psycopg.Connection) -> list[str]:
    listed = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    return [name for (name,) in connection.execute(listed)]


def _counts(connection: psycopg.Connection) -> Counts:
    counts = {}
    for name in _tables(connection):
        if name != _TRANSIENT:
            counted = sql.SQL("SELECT count(*) FROM public.{}").format(sql.Identifier(name))
            row = connection.execute(counted).fetchone()
            counts[name] = int(row[0]) if row else 0
    return counts
