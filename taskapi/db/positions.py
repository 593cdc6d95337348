"""Places in an order by hand: numbers, of which there is always another between two.

A row that was never moved has its id, so that rows stand in the order of their creation.
"""

from __future__ import annotations

import re
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Numeric,
    Text,
    case,
    cast,
    func,
    literal_column,
)

from taskapi.db.pages import Sort

MAX_SCALE = 30
"""The digits that a place has at most behind its point."""

_OFFSET = 5 * 10**18
"""Added to a place, so that each has as many digits and their texts are in their order."""

PATTERN = re.compile(rf"[0-9]{{19}}(\.[0-9]{{1,{MAX_SCALE}}})?", re.ASCII)
_EXACT = Context(prec=20 + 2 * MAX_SCALE, rounding=ROUND_FLOOR)


def place(rows: FromClause) -> ColumnElement[Decimal]:
    """Where a row stands among others."""
    return func.coalesce(rows.c.position, cast(rows.c.id, Numeric))


def position(rows: FromClause) -> ColumnElement[str]:
    """A place as answers show it: a text that sorts as the place does."""
    offset: ColumnElement[Any] = literal_column(str(_OFFSET), BigInteger)
    moved = func.trim_scale(rows.c.position + offset)
    # Of most rows the place is a whole number, with which PostgreSQL is done sooner.
    return case(
        (rows.c.position.is_(None), cast(rows.c.id + offset, Text)), else_=cast(moved, Text)
    )


def _place(value: Any) -> Decimal:
    if not PATTERN.fullmatch(value):
        raise ValueError("not a position")
    return Decimal(value) - _OFFSET


BY_PLACE = Sort(key=place, type=Numeric(), value_of=lambda row: row["position"], load=_place)


def spread(low: Decimal, high: Decimal, count: int) -> list[Decimal] | None:
    """So many places between two, in order, with as few digits as will do.

    Returns:
        None where they would take too many digits.
    """
    for scale in range(MAX_SCALE + 1):
        unit = Decimal(1).scaleb(-scale)
        places = [
            _EXACT.quantize(_EXACT.divide(_sum(low, high, n, count + 1), count + 1), unit)
            for n in range(1, count + 1)
        ]
        if all(a < b for a, b in zip([low, *places], [*places, high], strict=True)):
            return places
    return None


def _sum(low: Decimal, high: Decimal, share: int, of: int) -> Decimal:
    return _EXACT.add(_EXACT.multiply(low, of - share), _EXACT.multiply(high, share))
