"""The name of the constraint that a write violated."""

from __future__ import annotations

import re

import psycopg

_QUOTED = re.compile(r'constraint "(\w+)"')
_NUMBERED = re.compile(r"_?[0-9]+$")


def constraint_of(error: psycopg.Error) -> str:
    """The name of the constraint that a write violated.

    A worker of Citus sends it only in the message. Shards and partitions append a number to it.
    """
    quoted = _QUOTED.search(error.diag.message_primary or "")
    name = error.diag.constraint_name or (quoted[1] if quoted else "")
    return _NUMBERED.sub("", name)
