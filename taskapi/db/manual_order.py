"""Putting rows behind one another, in the order that an account makes of them by hand.

All of it runs while the account is locked (`ownership.locked`), so that rows are as they are seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Numeric,
    Table,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import REGCLASS

from taskapi.db import database
from taskapi.db.positions import place, spread
from taskapi.db.statement import Statement
from taskapi.db.tenancy import ID, ONE, USER_ID, bump, locked_account, scope
from taskapi.identity import Caller
from taskapi.problems import InvalidInput

_AFTER_ID = bindparam("after_id", type_=BigInteger)
_AFTER = bindparam("after", type_=Numeric)
_MOST = bindparam("most", type_=BigInteger)

_ANY = true()

WINDOW = 200
"""As many rows get new places at first where there is no room between two."""


class HandOrder:
    """The places of a table's rows.

    Its columns include user_id, id, position, version and updated_at.

    Args:
        rows: the table.
        numbered_by: the table whose sequence of ids gives the rows theirs.
        among: true in SQL for the rows that are in one order with the one that moves.
        siblings: true in SQL for those of them behind which it can be put.
        otherwise: what to say of any other.
    """

    def __init__(
        self,
        rows: Table,
        *,
        numbered_by: str,
        among: ColumnElement[bool] = _ANY,
        siblings: ColumnElement[bool] = _ANY,
        otherwise: str,
    ) -> None:
        ids = cast(func.pg_get_serial_sequence(numbered_by, "id"), REGCLASS)
        here = place(rows).label("place")
        beside = (rows.c.user_id == USER_ID, among, rows.c.id != ID)
        is_behind = tuple_(place(rows), rows.c.id) > tuple_(_AFTER, _AFTER_ID)
        self._next = Statement(select(func.nextval(ids).label("place")), writes=True)
        self._first = Statement(select(here).where(*beside).order_by(here, rows.c.id).limit(ONE))
        self._sibling = Statement(select(here).where(*beside, rows.c.id == _AFTER_ID, siblings))
        self._followers = Statement(
            select(rows.c.id, here).where(*beside, is_behind).order_by(here, rows.c.id).limit(_MOST)
        )
        self._spreading = _spreading(rows)
        self._otherwise = otherwise

    def last(self) -> Decimal:
        """A place behind all that there are, and before those of rows to come."""
        found = database.row(self._next)
        assert found, "it has one row"
        return Decimal(found["place"])

    def new_place(
        self, caller: Caller, row_id: int, values: Mapping[str, Any], **parameters: Any
    ) -> Decimal:
        """Where a row has to stand; where there is no room, those that follow get new places.

        Args:
            values: after, the id of the row behind which it comes: None puts it first; without it,
                it becomes the last.
            parameters: those of the order's conditions.

        Raises:
            InvalidInput: it cannot be put behind that one.
        """
        if "after" not in values:
            return self.last()
        where = {"id": row_id, **parameters, **scope(caller)}
        if values["after"] is None:
            first = database.row(self._first, **where)
            return first["place"].to_integral_value(ROUND_FLOOR) - 1 if first else self.last()
        where["after_id"] = values["after"]
        before = database.row(self._sibling, **where)
        if before is None:
            raise InvalidInput.at("/after", self._otherwise, "not_a_sibling")
        return self._behind(caller, before["place"], where)

    def _behind(self, caller: Caller, before: Decimal, where: Mapping[str, Any]) -> Decimal:
        moved, places, most = [], None, 0
        while places is None:
            rows = database.rows(self._followers, after=before, most=most + 1, **where)
            moved = [row[0] for row in rows[:most]]
            high = rows[most][1] if len(rows) > most else self.last()
            places = spread(before, high, len(moved) + 1)
            most = most * 10 or WINDOW
        if moved:
            database.rows(self._spreading, ids=moved, places=places[1:], **scope(caller))
        return places[0]


def _spreading(rows: Table) -> Statement:
    """Gives each of several rows a place."""
    account = locked_account()
    ids = bindparam("ids", type_=ARRAY(BigInteger))
    places = bindparam("places", type_=ARRAY(Numeric))
    given = (
        func.unnest(ids, places)
        .table_valued(column("id", BigInteger), column("place", Numeric), name="given")
        .render_derived()
    )
    after = (
        update(rows)
        .values(
            position=select(given.c.place).where(given.c.id == rows.c.id).scalar_subquery(),
            version=account.c.next_version,
            updated_at=account.c.moment,
        )
        .where(rows.c.user_id == account.c.id, rows.c.user_id == USER_ID, rows.c.id == any_(ids))
        .returning(rows.c.id, rows.c.user_id)
        .cte("after")
    )
    return Statement(select(after.c.id).add_cte(bump(account, after, {})), writes=True)
