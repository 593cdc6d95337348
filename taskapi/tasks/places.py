"""Places between others: numbers with as few digits as will do."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal

from taskapi.tasks.orders import MAX_SCALE

_EXACT = Context(prec=20 + 2 * MAX_SCALE, rounding=ROUND_FLOOR)


def spread(low: Decimal, high: Decimal, count: int) -> list[Decimal] | None:
    """So many places between two, in order; None where they would take too many digits."""
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
