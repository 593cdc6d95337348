"""What is sent to the database: SQLAlchemy Core says what it is, and it is compiled once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import psycopg
from sqlalchemy import (
    ARRAY,
    Boolean,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Time,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import TypeEngine

_SENT_AS: dict[type[TypeEngine[Any]], str] = {
    # Every integer, so that a comparison takes numbers that its column could not hold.
    Integer: "int8",
    Float: "float8",
    Numeric: "numeric",
    String: "text",
    LargeBinary: "bytea",
    Boolean: "bool",
    Date: "date",
    Time: "time",
}

_DIALECT = PGDialect_psycopg(paramstyle="numeric_dollar")


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
        """The OIDs of the types of these parameters, as they are declared."""
        return tuple(oid_of(self._compiled.binds[name].type) for name in self.names)

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
        return [given[name] for name in self.names]


def oid_of(declared: TypeEngine[Any]) -> int:
    """The OID of the PostgreSQL type as which a parameter of this type is sent.

    Raises:
        TypeError: the parameter has no type, or one that is not among those that are sent.
    """
    if isinstance(declared, ARRAY):
        return _registered(_name_of(declared.item_type)).array_oid
    return _registered(_name_of(declared)).oid


def _name_of(declared: TypeEngine[Any]) -> str:
    if isinstance(declared, DateTime):
        return "timestamptz" if declared.timezone else "timestamp"
    for kind, name in _SENT_AS.items():
        if isinstance(declared, kind):
            return name
    raise TypeError(f"a parameter of type {declared!r} cannot be sent: declare its type_")


def _registered(name: str) -> psycopg.types.TypeInfo:
    return psycopg.adapters.types[name]
