"""Backups: PostgreSQL's own archives, made of one moment, and counted before they are believed."""

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
"""Counters that a restored service begins anew."""

_TABLE = re.compile(r'(?:dumping contents of|processing data for) table "public\.(\w+)"')
_COPY = re.compile(rb"COPY public\.(\w+) ")


class ArchiveError(Exception):
    """It was not done; the message says why, and what to do."""


def back_up(url: str, file: Path, say: Say) -> Counts:
    """Write all data of the database into a file, as it is at this moment.

    The file appears only when it is whole: when as many rows can be read from it as there were.

    Args:
        url: of the database itself, not of a pooler.
        say: told of the progress, a line at a time.

    Returns:
        The number of rows of each table.

    Raises:
        ArchiveError: as it says.
    """
    if file.exists():
        raise ArchiveError(f"{file} is there already. Name another file, or remove it.")
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
                raise ArchiveError(f"The archive is not whole: {found} of {counts} rows.")
            unfinished.rename(file)
        finally:
            unfinished.unlink(missing_ok=True)
    return counts


def bring_back(url: str, file: Path, say: Say) -> Counts:
    """Fill an empty database from a file; all of it, or nothing.

    Args:
        url: of the database itself, not of a pooler.
        say: told of the progress, a line at a time.

    Returns:
        The number of rows of each table.

    Raises:
        ArchiveError: as it says.
    """
    with _connected(url) as connection:
        connection.autocommit = True
        if _tables(connection):
            raise ArchiveError(
                "The database is not empty. Name a new one by DATABASE_URL, without any tables."
            )
        programs = _Programs(url, connection)
        counts = programs.rows_in(file)
        whole = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
        name = f"--dbname={connection.info.dbname}"
        programs.run("pg_restore", *whole, name, str(file), counts=counts, say=say)
        connection.execute("ANALYZE")
        found = _counts(connection)
    if found != counts:
        raise ArchiveError(f"Not everything was restored: {found} of {counts} rows.")
    return found


class _Programs:
    """PostgreSQL's programs, which must not be older than the server."""

    def __init__(self, url: str, connection: psycopg.Connection) -> None:
        # Not as arguments, which everybody on the machine can read.
        self._environment = os.environ | _environment(url)
        self._version = connection.info.server_version // 10_000

    def run(self, program: str, *arguments: str, counts: Mapping[str, int], say: Say) -> None:
        """Run one to its end, and tell of each table that it comes to."""
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
        """How many rows an archive holds of each table, by reading all of it."""
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
            raise ArchiveError(f"{file} cannot be read as an archive of PostgreSQL, or is damaged.")
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
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            version = re.search(r"\b(\d+)", said.stdout)
            if version and int(version[1]) >= self._version:
                return path
        raise ArchiveError(
            f"This takes {program} of PostgreSQL {self._version} or newer; none is on the PATH."
            f" On Debian and Ubuntu: apt-get install postgresql-client-{self._version}"
        )


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url, application_name="taskapi-archive") as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise ArchiveError(f"The database does not answer: {error}") from error


def _environment(url: str) -> dict[str, str]:
    """The variables that say to PostgreSQL's programs what the URL says."""
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
