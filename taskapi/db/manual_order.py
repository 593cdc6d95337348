"""Moves a row behind another one, in the manual order of a table's rows.

The caller must have locked the workspace (`tenancy.locked`), so that no row changes in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Numeric,
    Table,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
    tuple_,
    update,
)

from taskapi.db import database
from taskapi.db.positions import sort_position, spacing, spread
from taskapi.db.statement import Statement
from taskapi.db.tenancy import (
    ID,
    ONE,
    WORKSPACE_ID,
    WORKSPACES,
    increment_version,
    locked_workspace,
    scope,
)
from taskapi.identity import Caller
from taskapi.problems import InvalidInput, Unavailable

_AFTER_ID = bindparam("after_id", type_=BigInteger)
_AFTER = bindparam("after", type_=Numeric)
_MOST = bindparam("most", type_=BigInteger)

_BASE = bindparam("base", type_=Numeric)
_STEP = bindparam("step", type_=Numeric)
_EXPECTED_VERSION = bindparam("expected_version", type_=BigInteger)

_ANY = true()

WINDOW = 200
"""The number of rows that get new positions at first, if two rows have no position between."""

MAX_WINDOW = 2_000
"""The most rows that get new positions together with a move."""

PIECE = 2_000
"""The rows that one statement of a rearrangement gives new positions."""

PIECES = 5
"""The statements of one request."""


class Rearranging(Unavailable):
    """Too many rows must get new positions before this move can succeed."""

    detail = "The rows around this position are being rearranged; try again in a moment."


class ManualOrder:
    """The positions of a table's rows.

    Args:
        rows: the table, with the columns of `Content` and position.
        next_id: the SQL expression for the next ID.
        among: the SQL condition for the rows in the same order as the moved row.
        siblings: the SQL condition for the rows behind which it can be moved.
        otherwise: the error message for any other row.
    """

    def __init__(
        self,
        rows: Table,
        *,
        next_id: ColumnElement[int],
        among: ColumnElement[bool] = _ANY,
        siblings: ColumnElement[bool] = _ANY,
        otherwise: str,
    ) -> None:
        position = sort_position(rows).label("sort_position")
        others = (rows.c.workspace_id == WORKSPACE_ID, among, rows.c.id != ID)
        is_behind = tuple_(sort_position(rows), rows.c.id) > tuple_(_AFTER, _AFTER_ID)
        in_order = (position, rows.c.id)
        self._next = Statement(select(next_id.label("next_id")), writes=True)
        self.first = Statement(select(position).where(*others).order_by(*in_order).limit(ONE))
        self.sibling = Statement(select(position).where(*others, rows.c.id == _AFTER_ID, siblings))
        self.followers = Statement(
            select(rows.c.id, position).where(*others, is_behind).order_by(*in_order).limit(_MOST)
        )
        self.spreading = _spreading(rows)
        behind = (
            select(rows.c.id, position)
            .where(rows.c.workspace_id == WORKSPACE_ID, among, is_behind)
            .order_by(*in_order)
            .limit(_MOST)
            .subquery("behind")
        )
        version = select(WORKSPACES.c.version).where(WORKSPACES.c.id == WORKSPACE_ID)
        self._reach = Statement(
            select(
                func.count().label("count"),
                func.max(behind.c.sort_position).label("last"),
                version.scalar_subquery().label("version"),
            ).select_from(behind)
        )
        self._piece = _piece(rows, behind)
        self._otherwise = otherwise

    def last(self) -> Decimal:
        """A position behind all existing rows, and before all future rows."""
        return Decimal(database.rows(self._next)[0][0])

    def new_position(
        self, caller: Caller, row_id: int, values: Mapping[str, Any], **parameters: Any
    ) -> Decimal:
        """The new position of a row. If two rows have no position between, later rows are moved.

        Args:
            values: after, the ID of the row to move behind. None moves the row to the start;
                without it, the row moves to the end.
            parameters: the parameters of the order's conditions.

        Raises:
            InvalidInput: the row cannot be moved behind that row.
            Rearranging: as it says.
        """
        if "after" not in values:
            return self.last()
        where = {"id": row_id, **parameters, **scope(caller)}
        if values["after"] is None:
            first = database.rows(self.first, **where)
            return first[0][0].to_integral_value(ROUND_FLOOR) - 1 if first else self.last()
        where["after_id"] = values["after"]
        sibling = database.rows(self.sibling, **where)
        if not sibling:
            raise InvalidInput.at("/after", self._otherwise, "not_a_sibling")
        return self._behind(caller, sibling[0][0], where)

    def _behind(self, caller: Caller, before: Decimal, where: Mapping[str, Any]) -> Decimal:
        most = 0
        while most <= MAX_WINDOW:
            rows = database.rows(self.followers, after=before, most=most + 1, **where)
            moved = [row[0] for row in rows[:most]]
            high = rows[most][1] if len(rows) > most else self.last()
            positions = spread(before, high, len(moved) + 1)
            if positions:
                if moved:
                    given = {"ids": moved, "positions": positions[1:]}
                    database.rows(self.spreading, **given, **scope(caller))
                return positions[0]
            most = most * 10 or WINDOW
        self._rearrange(before, MAX_WINDOW, where)
        raise Rearranging

    def _rearrange(self, before: Decimal, most: int, where: Mapping[str, Any]) -> None:
        """Give rows behind a position new ones after this transaction, the last rows first.

        No row passes another, since rows only move towards the end. So each piece leaves the order
        as it is, and later requests continue where it ended.
        """
        found, has_more = None, True
        while has_more and not found:
            most *= 10
            ((count, last, version),) = database.rows(
                self._reach, after=before, most=most + 1, **where
            )
            has_more = count > most
            found = spacing(before, last if has_more else self.last(), min(count, most) + 1)
        if not found:
            raise Unavailable
        given = {**where, "after": before, "most": most, **found._asdict()}
        for piece in range(PIECES):
            database.run_afterwards(self._piece, expected_version=version + piece, **given)


def _spreading(rows: Table) -> Statement:
    """Sets the positions of several rows."""
    workspace = locked_workspace()
    ids = bindparam("ids", type_=ARRAY(BigInteger))
    positions = bindparam("positions", type_=ARRAY(Numeric))
    given = (
        func.unnest(ids, positions)
        .table_valued(column("id", BigInteger), column("position", Numeric), name="given")
        .render_derived()
    )
    after = (
        update(rows)
        .values(
            position=select(given.c.position).where(given.c.id == rows.c.id).scalar_subquery(),
            version=workspace.c.next_version,
            updated_at=workspace.c.moment,
        )
        .where(
            rows.c.workspace_id == workspace.c.id,
            rows.c.workspace_id == WORKSPACE_ID,
            rows.c.id == any_(ids),
        )
        .returning(rows.c.id, rows.c.workspace_id)
        .cte("after")
    )
    counted = increment_version(workspace, after, {})
    return Statement(select(after.c.id).add_cte(counted), writes=True)


def _piece(rows: Table, behind: FromClause) -> Statement:
    """Moves the last rows of a window that lie before their equally spaced positions.

    It does nothing if the workspace has changed: it would see its rows as they were before it
    waited for the lock.
    """
    workspace = locked_workspace()
    number = func.row_number().over(order_by=(behind.c.sort_position, behind.c.id))
    target = (_BASE + _STEP * cast(number + ONE, Numeric)).label("target")
    numbered = select(behind.c.id, behind.c.sort_position, target).subquery("numbered")
    last = (
        select(numbered.c.id, numbered.c.target)
        .where(numbered.c.sort_position < numbered.c.target)
        .order_by(numbered.c.target.desc())
        .limit(literal_column(str(PIECE), BigInteger))
        .subquery("last")
    )
    after = (
        update(rows)
        .values(
            position=last.c.target,
            version=workspace.c.next_version,
            updated_at=workspace.c.moment,
        )
        .where(
            rows.c.workspace_id == workspace.c.id,
            rows.c.workspace_id == WORKSPACE_ID,
            rows.c.id == last.c.id,
            workspace.c.next_version == _EXPECTED_VERSION + ONE,
        )
        .returning(rows.c.id, rows.c.workspace_id)
        .cte("after")
    )
    counted = increment_version(workspace, after, {})
    return Statement(select(after.c.id).add_cte(counted), writes=True)
