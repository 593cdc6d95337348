"""Orders that people make by hand: a place between two others, without touching those.

A row that was never moved stands at its id, so that new rows come last and nothing is looked up to
add one. A row that is moved gets a number of its own: the next id to come, to stand last; one less
than the first, to stand first; and half way between two others. Clients see it as text whose part
before the point has a fixed width, so that it compares as the number does.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Numeric, Text, cast, func, literal_column

from taskapi.core.pagination import Sort

_SHIFT = 5 * 10**18
"""Makes each position a number of nineteen digits; ids stay below 2^53."""

_SHOWN = re.compile(r"[0-9]{19}(\.[0-9]{1,1000})?", re.ASCII)
_EXACT = Context(prec=1_100)


def position(rows: FromClause) -> ColumnElement[Decimal]:
    """Where a row stands among its siblings, in SQL."""
    return func.coalesce(rows.c.position, cast(rows.c.id, Numeric), type_=Numeric())


def shown_position(rows: FromClause) -> ColumnElement[str]:
    """The position as clients see it."""
    return cast(position(rows) + literal_column(str(_SHIFT), Numeric), Text).label("position")


def _stored(shown: Any) -> Decimal:
    if not isinstance(shown, str) or not _SHOWN.fullmatch(shown):
        raise ValueError("not a position")
    return _EXACT.subtract(Decimal(shown), Decimal(_SHIFT))


BY_POSITION = Sort(key=position, type=Numeric(), value_of=lambda row: row["position"], load=_stored)
"""The order that people made."""
