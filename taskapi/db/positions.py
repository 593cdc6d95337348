"""Positions in a manual order: decimal numbers, so that there is always one between two others.

The position of a row that was never moved is its ID, which is the order of creation.
"""

from __future__ import annotations

import re
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Numeric, cast, func

from taskapi.db.pages import Sort

MAX_SCALE = 30
"""The maximum number of digits after the decimal point."""

_SPARE_DIGITS = 5
"""That remain for new positions between those of a `Spacing`."""

_OFFSET = 5 * 10**18
"""Added to a position in its text, so that all texts have the same length and sort as numbers."""

PATTERN = re.compile(rf"[0-9]{{19}}(\.[0-9]{{1,{MAX_SCALE}}})?", re.ASCII)
"""The text of a position."""

FIRST_POSITION_EXAMPLE = str(_OFFSET)
"""The position of a row that was moved before the row with the ID 1."""

_EXACT = Context(prec=20 + 2 * MAX_SCALE, rounding=ROUND_FLOOR)


def sort_position(rows: FromClause) -> ColumnElement[Decimal]:
    """The number by which a row is sorted."""
    return func.coalesce(rows.c.position, cast(rows.c.id, Numeric))


def position_text(row: Any) -> str:
    """The position of a row in responses: a text that sorts like the number."""
    if row.position is None:
        return str(row.id + _OFFSET)
    text = f"{_EXACT.add(row.position, _OFFSET):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _position(value: Any) -> Decimal:
    if not PATTERN.fullmatch(value):
        raise ValueError("not a position")
    return Decimal(value) - _OFFSET


BY_POSITION = Sort(key=sort_position, type=Numeric(), value_of=position_text, load=_position)


def spread(low: Decimal, high: Decimal, count: int) -> list[Decimal] | None:
    """`count` positions between two others, in order, with as few digits as possible.

    Returns:
        None if they would need too many digits.
    """
    for scale in range(_least_scale(low, high, count), MAX_SCALE + 1):
        unit = Decimal(1).scaleb(-scale)
        positions = [
            _EXACT.quantize(_EXACT.divide(_sum(low, high, n, count + 1), count + 1), unit)
            for n in range(1, count + 1)
        ]
        if all(a < b for a, b in zip([low, *positions], [*positions, high], strict=True)):
            return positions
    return None


def _least_scale(low: Decimal, high: Decimal, count: int) -> int:
    """The digits below which so many positions certainly do not fit."""
    if count == 1:
        return 0
    gap = _EXACT.divide(_EXACT.subtract(high, low), count + 1)
    return max(0, -gap.adjusted() - 1) if gap > 0 else MAX_SCALE + 1


class Spacing(NamedTuple):
    """Positions at equal distances: the first is `base + step`."""

    base: Decimal
    step: Decimal


def spacing(low: Decimal, high: Decimal, count: int) -> Spacing | None:
    """Equally spaced positions between two, with room for further ones between them.

    Returns:
        None if there is no such room.
    """
    gap = _EXACT.divide(_EXACT.subtract(high, low), count + 1)
    scale = 1 - gap.adjusted() if gap > 0 else MAX_SCALE
    if scale > MAX_SCALE - _SPARE_DIGITS:
        return None
    unit = Decimal(1).scaleb(-max(0, scale))
    return Spacing(_EXACT.quantize(low, unit), _EXACT.quantize(gap, unit))


def _sum(low: Decimal, high: Decimal, share: int, of: int) -> Decimal:
    return _EXACT.add(_EXACT.multiply(low, of - share), _EXACT.multiply(high, share))
