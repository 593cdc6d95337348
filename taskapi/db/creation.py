"""Parts of the statements that create a row of content.

By default a row is created by a single statement. Citus routes an UPDATE in a WITH to one shard,
but executes an INSERT there, and an INSERT with a SELECT, in several steps on all nodes. In a
cluster, a row is therefore created by a transaction of several statements that use one shard each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, ColumnElement, DateTime, bindparam, insert

from taskapi.db.statement import Statement
from taskapi.db.tenancy import WORKSPACE_ID


class ShardedCreate(NamedTuple):
    """The statements of a transaction that creates a row.

    Args:
        lock: locks the workspace, counts the row and performs the updates that belong to it. It
            returns the parameters next_version and moment of `insert`; no row if a quota would be
            exceeded, or if the caller has no access.
        insert: inserts the row and returns it.
        dependent: insert the rows of other tables that belong to it. Their parameter is its id.
    """

    lock: Statement
    insert: Statement
    dependent: Sequence[Statement]


class _Columns(SimpleNamespace):
    """Values by attribute and by key."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


class Calculated:
    """A row of calculated values."""

    def __init__(self, values: Mapping[str, ColumnElement[Any]]) -> None:
        self.c = _Columns(**values)


def inserted(row: Mapping[str, ColumnElement[Any]], *columns: Column[Any]) -> Statement:
    """Inserts a row into the table of these columns, and returns them."""
    return Statement(insert(columns[0].table).values(row).returning(*columns), writes=True)


LOCKED_WORKSPACE = Calculated(
    {
        "id": WORKSPACE_ID,
        "next_version": bindparam("next_version", type_=BigInteger),
        "moment": bindparam("moment", type_=DateTime(timezone=True)),
    }
)
"""The workspace as parameters, from the result of `ShardedCreate.lock`."""
