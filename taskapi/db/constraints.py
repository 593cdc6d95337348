"""Violations of constraints by writes, with the names of the constraints."""

from __future__ import annotations

import re

import psycopg

_QUOTED = re.compile(r'constraint "(\w+)"')
_NUMBERED = re.compile(r"_?[0-9]+$")


class _Violation(Exception):
    """A write violated the constraint with this name."""

    def __init__(self, error: psycopg.Error) -> None:
        self.constraint = constraint_of(error)
        super().__init__(self.constraint)


class ReferenceMissing(_Violation):
    """A write references a row that does not exist, by the foreign key with this name."""

    def __init__(self, error: psycopg.Error) -> None:
        super().__init__(error)
        detail = error.diag.message_detail or ""
        self.row_id = detail if detail.isdecimal() else None
        """The ID of that row. Only the triggers that stand for foreign keys report it."""


class ValueTaken(_Violation):
    """A write sets a value that another row has, in the unique index with this name."""


def constraint_of(error: psycopg.Error) -> str:
    """The name of the constraint that a write violated.

    A worker of Citus sends it only in the message. Shards and partitions append a number to it.
    """
    quoted = _QUOTED.search(error.diag.message_primary or "")
    name = error.diag.constraint_name or (quoted[1] if quoted else "")
    return _NUMBERED.sub("", name)
