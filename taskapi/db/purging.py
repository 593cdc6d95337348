"""Deletes expired rows in small steps, concurrently with requests and other purges."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    Table,
    and_,
    bindparam,
    delete,
    func,
    select,
    tuple_,
)
from sqlalchemy.types import TypeEngine

from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.problems import Deadlock

_ROWS = 1_000
"""The rows that one statement reads. This limits its cost, and how long it holds locks."""

_COMMAND_SECONDS = 60.0
"""For a statement of `flask purge`, which no request waits for."""

_ATTEMPTS = 5

Position = list[Any]


class Purge:
    """Deletes the expired rows of a table, in the order of its key.

    Each step is a short transaction, so that requests for its rows wait only briefly.

    Args:
        table: to delete from.
        has_expired: whether a row is deleted.
        within: conditions on the rows that are read; each step is given their parameters.
    """

    def __init__(
        self, table: Table, has_expired: ColumnElement[bool], *within: ColumnElement[bool]
    ) -> None:
        keys = list(table.primary_key.columns)
        self._names = [f"after_{column.name}" for column in keys]
        self._start: Position = [_least(column.type) for column in keys]
        key = tuple_(*keys)
        after = tuple_(*(bindparam(f"after_{c.name}", type_=c.type) for c in keys))
        rows = select(*keys).where(key > after, *within)
        seen = rows.order_by(*keys).limit(_ROWS).cte("seen")
        expired = and_(key.in_(select(*seen.c)), has_expired, *within)
        deleted = delete(table).where(expired).returning(*keys).cte("deleted")
        count = select(func.count()).select_from(deleted).scalar_subquery()
        last = select(count.label("deleted"), *seen.c).order_by(*(c.desc() for c in seen.c))
        step = last.limit(1)
        self._statement = Statement(step, writes=True, independent=True)
        self._patient = Statement(step, writes=True, independent=True, seconds=_COMMAND_SECONDS)

    def step(self, after: Position | None = None, **parameters: Any) -> tuple[int, Position | None]:
        """Purge the next rows.

        Args:
            after: the position that the previous step returned; None at the beginning.

        Returns:
            The number of deleted rows, and the position, which is None at the end of the table.

        Raises:
            Unavailable, OutcomeUnknown: as `database.rows`.
        """
        return self._step(self._statement, after, **parameters)

    def _step(
        self, statement: Statement, after: Position | None, **parameters: Any
    ) -> tuple[int, Position | None]:
        position = after or self._start
        given = dict(zip(self._names, position, strict=True))
        rows = _rows(statement, given | parameters)
        if not rows:
            return 0, None
        deleted, *last = rows[0]
        return deleted, last

    def run(self) -> int:
        """Purge the whole table, and return the number of deleted rows.

        Raises:
            Unavailable, OutcomeUnknown: as `database.rows`.
        """
        total, after = self._step(self._patient, None)
        while after:
            deleted, after = self._step(self._patient, after)
            total += deleted
        return total


def _rows(statement: Statement, parameters: dict[str, Any]) -> list[Any]:
    # Two purges can delete the same rows in different orders, since their plans can differ.
    for _ in range(_ATTEMPTS - 1):
        with suppress(Deadlock):
            return database.rows(statement, **parameters)
    return database.rows(statement, **parameters)


def _least(declared: TypeEngine[Any]) -> Any:
    """A value that sorts before all keys of this type."""
    if isinstance(declared, BigInteger):
        return 0
    return b"" if isinstance(declared, LargeBinary) else ""
