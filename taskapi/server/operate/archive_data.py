"""Parses the data of an archive. The archive is untrusted: its SQL is read, never executed.

An archive contains the text of each statement that a restore would run. So only the names, rows and
numbers in it are used, and any statement but those of table data and sequences is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from taskapi.server.operate.programs import ArchiveError

_IGNORED = re.compile(
    rb"(--.*|SET \w+ = ('UTF8'|'SQL_ASCII'|''|\w+);|\\(un)?restrict \w+"
    rb"|SELECT pg_catalog\.set_config\('search_path', '', false\);)?\n"
)
"""Comments and settings, none of which matter here, except that data must be UTF-8."""

_COPY = re.compile(rb'COPY public\."?(\w+)"? \(([\w", ]+)\) FROM stdin;\n')
_SETVAL = re.compile(rb"SELECT pg_catalog\.setval\('public\.(\w+)', ([0-9]+), (true|false)\);\n")
_END = b"\\.\n"


class TableData(NamedTuple):
    """The rows of a table, as lines of COPY's text format."""

    table: str
    columns: tuple[str, ...]
    rows: Iterator[bytes]


class SequenceValue(NamedTuple):
    """The state of a sequence, as `setval` takes it."""

    sequence: str
    value: int
    is_called: bool


def parse(lines: Iterator[bytes]) -> Iterator[TableData | SequenceValue]:
    """The entries of the text that `pg_restore --data-only` writes.

    Read all rows of an entry before the next entry.

    Raises:
        ArchiveError: the text has a statement that is neither table data nor a sequence's value.
    """
    for line in lines:
        if copy := _COPY.fullmatch(line):
            columns = copy[2].decode().replace('"', "").split(", ")
            rows = takewhile(_is_row, lines)
            yield TableData(copy[1].decode(), tuple(columns), rows)
        elif setval := _SETVAL.fullmatch(line):
            yield SequenceValue(setval[1].decode(), int(setval[2]), setval[3] == b"true")
        elif not _IGNORED.fullmatch(line):
            statement = line.decode(errors="replace").strip()
            raise ArchiveError(
                "The archive contains a statement that is not data, so it was not made by"
                f" `flask backup`: {statement[:80]!r}. Nothing was executed."
            )


def _is_row(line: bytes) -> bool:
    return line != _END
