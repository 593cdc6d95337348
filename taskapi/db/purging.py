"""Deletion of expired rows in small steps, beside the service and beside other purges."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    and_,
    bindparam,
    delete,
    func,
    select,
    tuple_,
)

from taskapi.db import database
from taskapi.db.statement import Statement

_ROWS = 1_000
"""That a statement looks at: it costs the same in any table, and holds locks for a moment."""

Position = list[Any]


class Purge:
    """Deletes the expired rows of a table, in the order of its key.

    Each step is a short transaction, so a request that needs one of its rows waits for a moment.

    Args:
        table: to delete from.
        is_over: whether a row is deleted.
        within: conditions on the rows that are looked at; their parameters are given to each step.
    """

    def __init__(
        self, table: Table, is_over: ColumnElement[bool], *within: ColumnElement[bool]
    ) -> None:
        keys = list(table.primary_key.columns)
        self._names = [f"after_{column.name}" for column in keys]
        # Nothing of ours sorts before 0 or an empty text.
        self._start: Position = [0 if isinstance(c.type, BigInteger) else "" for c in keys]
        key = tuple_(*keys)
        after = tuple_(*(bindparam(f"after_{c.name}", type_=c.type) for c in keys))
        rows = select(*keys).where(key > after, *within)
        seen = rows.order_by(*keys).limit(_ROWS).cte("seen")
        expired = and_(key.in_(select(*seen.c)), is_over, *within)
        deleted = delete(table).where(expired).returning(*keys).cte("deleted")
        count = select(func.count()).select_from(deleted).scalar_subquery()
        last = select(count.label("deleted"), *seen.c).order_by(*(c.desc() for c in seen.c))
        self._statement = Statement(last.limit(1), writes=True, independent=True)

    def step(self, after: Position | None = None, **parameters: Any) -> tuple[int, Position | None]:
        """Look at the next thousand rows.

        Args:
            after: the position that the step before gave; None to begin.

        Returns:
            How many were deleted, and the position; None for that at the table's end.

        Raises:
            Unavailable, OutcomeUnknown: as `database.rows`.
        """
        position = after or self._start
        given = dict(zip(self._names, position, strict=True))
        rows = database.rows(self._statement, **given, **parameters)
        if not rows:
            return 0, None
        deleted, *last = rows[0]
        return deleted, last

    def run(self) -> int:
        """Look at all rows; how many were deleted.

        Raises:
            Unavailable, OutcomeUnknown: as `database.rows`.
        """
        total, after = self.step()
        while after:
            deleted, after = self.step(after)
            total += deleted
        return total
