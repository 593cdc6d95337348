"""Statements: built from SQLAlchemy Core, compiled once."""

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
    Text,
    Time,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.selectable import ReturnsRows
from sqlalchemy.types import TypeEngine

_SENT_AS: dict[type[TypeEngine[Any]], str] = {
    # All integers, so that columns can be compared with numbers beyond their own range.
    Integer: "int8",
    Float: "float8",
    Numeric: "numeric",
    String: "text",
    LargeBinary: "bytea",
    Boolean: "bool",
    Date: "date",
    Time: "time",
}


class _TextParameter(Text):
    """A parameter that is cast to TEXT: Citus refuses a cast to VARCHAR for a column of texts."""

    render_bind_cast = True


_DIALECT = PGDialect_psycopg(paramstyle="numeric_dollar")
_DIALECT.colspecs = {**_DIALECT.colspecs, String: _TextParameter}


class Statement:
    """One SQL statement, built from SQLAlchemy Core and compiled on first use.

    Args:
        clause: a select, or a write with RETURNING.
        writes: whether it changes anything, and therefore is never retried.
        seconds: the time limit, including the wait for a connection; None for the default.
        independent: whether it is committed even if the request fails, in its own transaction.
        is_dynamic: whether its text depends on the request. Such statements are not prepared, and
            PostgreSQL plans them with their values.
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
        """The SQL text."""
        return str(self._compiled).encode()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters `$1`, `$2` and so on."""
        return tuple(self._compiled.positiontup)

    @cached_property
    def types(self) -> tuple[int, ...]:
        """The OIDs of the parameters' declared types."""
        return tuple(oid_of(self._compiled.binds[name].type) for name in self.names)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Values of parameters that are part of the statement."""
        return {k: v for k, v in self._compiled.params.items() if v is not None}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the result's columns."""
        return tuple(str(column.name) for column in self._clause.exported_columns)

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The values of the parameters, in the order of `names`."""
        given = {**self.defaults, **parameters}
        return [given[name] for name in self.names]


def oid_of(declared: TypeEngine[Any]) -> int:
    """The OID of the PostgreSQL type for a parameter of this type.

    Raises:
        TypeError: the parameter has no type, or an unsupported one.
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
