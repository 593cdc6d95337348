"""What is sent to the database: SQLAlchemy Core says what it is, and it is compiled once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from psycopg.types.numeric import Int8
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Double,
    LargeBinary,
    Numeric,
    Text,
    Time,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import TypeEngine

_DIALECT = PGDialect_psycopg(paramstyle="numeric_dollar")

_OIDS: dict[type[TypeEngine[Any]], tuple[int, int]] = {
    Boolean: (16, 1000),
    LargeBinary: (17, 1001),
    BigInteger: (20, 1016),
    Text: (25, 1009),
    Double: (701, 1022),
    Date: (1082, 1182),
    Time: (1083, 1183),
    Numeric: (1700, 1231),
}
"""PostgreSQL's numbers of the types of parameters, and of arrays of them."""


def _oid(kind: TypeEngine[Any]) -> int:
    """The type of a null or an empty list as a parameter; 0 lets the server infer it."""
    if isinstance(kind, DateTime):
        return 1184 if kind.timezone else 1114
    item = kind.item_type if isinstance(kind, ARRAY) else kind
    return _OIDS.get(type(item), (0, 0))[isinstance(kind, ARRAY)]


def _sized(value: Any, kind: int) -> Any:
    """A whole number as a bigint: psycopg would take the smallest type that holds it."""
    if kind == 20 and value is not None:
        return Int8(value)
    return [Int8(one) for one in value] if kind == 1016 and value else value


class Statement:
    """One SQL statement, built from SQLAlchemy Core and compiled on first use.

    Args:
        clause: a select, or a write with RETURNING; its bind parameters are given when it runs.
        writes: whether it changes anything, so that it must not be sent a second time.
        seconds: how long it may take, the wait for a connection included; None for as long as any.
        independent: whether what it does stays done though the request that does it is refused,
            so that it is part of no other transaction.
        is_dynamic: whether its text depends on what is asked for, so that no connection keeps
            it prepared; PostgreSQL then plans it with the values.
    """

    def __init__(
        self,
        clause: ReturnsRows,
        *,
        writes: bool = False,
        seconds: float | None = None,
        independent: bool = False,
        is_dynamic: bool = False,
    ) -> None:
        self._clause = clause
        self.writes = writes
        self.seconds = seconds
        self.independent = independent
        self.is_dynamic = is_dynamic

    @cached_property
    def _compiled(self) -> Any:
        return self._clause.compile(dialect=_DIALECT)

    @cached_property
    def sql(self) -> bytes:
        """The text that is sent."""
        return str(self._compiled).encode()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters that `$1`, `$2` and so on stand for."""
        return tuple(self._compiled.positiontup)

    @cached_property
    def types(self) -> tuple[int, ...]:
        """The types of the parameters, for values that have none."""
        return tuple(_oid(self._compiled.binds[name].type) for name in self.names)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Parameters whose values are part of the statement."""
        return {k: v for k, v in self._compiled.params.items() if v is not None}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of a row of its result."""
        return tuple(str(column.name) for column in self._clause.exported_columns)

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The values that are sent, in the order of `names`."""
        given = {**self.defaults, **parameters}
        return [
            _sized(given[name], kind) for name, kind in zip(self.names, self.types, strict=True)
        ]
