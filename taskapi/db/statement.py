"""Statements: built from SQLAlchemy Core, compiled once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import psycopg
from sqlalchemy import (
    ARRAY,
    Boolean,
    ColumnElement,
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
from sqlalchemy.ext.compiler import compiles
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

    def __init__(self, length: int | None = None, collation: str | None = None) -> None:
        """Ignore the length and the collation of the column: with a length, it would be VARCHAR."""
        super().__init__()


_PERSONAL = PGDialect_psycopg(paramstyle="numeric_dollar")
_SHARED = PGDialect_psycopg(paramstyle="numeric_dollar")
for _dialect in (_PERSONAL, _SHARED):
    _dialect.colspecs = {**_dialect.colspecs, String: _TextParameter}


class ByWorkspace(ColumnElement[bool]):
    """An SQL condition with another text in shared workspaces.

    So the statements of personal workspaces contain nothing that only the others need.
    """

    inherit_cache = False

    def __init__(self, personal: ColumnElement[bool], shared: ColumnElement[bool]) -> None:
        self.type = Boolean()
        self.personal = personal
        self.shared = shared


@compiles(ByWorkspace)
def _compile_by_workspace(element: ByWorkspace, compiler: Any, **options: Any) -> str:
    chosen = element.shared if compiler.dialect is _SHARED else element.personal
    text: str = compiler.process(chosen, **options)
    return text


class Compiled:
    """A statement's SQL and its parameters."""

    def __init__(self, clause: ReturnsRows, dialect: PGDialect_psycopg) -> None:
        compiled: Any = clause.compile(dialect=dialect)
        self.sql = str(compiled).encode()
        self.names: tuple[str, ...] = tuple(compiled.positiontup)
        """The names of the parameters `$1`, `$2` and so on."""

        self.types = tuple(oid_of(compiled.binds[name].type) for name in self.names)
        """The OIDs of the parameters' declared types."""

        self.defaults = {k: v for k, v in compiled.params.items() if v is not None}
        """Values of parameters that are part of the statement."""

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The values of the parameters, in the order of `names`."""
        given = {**self.defaults, **parameters}
        return [given[name] for name in self.names]


class Statement:
    """One SQL statement, built from SQLAlchemy Core and compiled on first use.

    If it has the parameters of `tenancy.scope`, it is compiled for personal and for shared
    workspaces separately.

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
    def personal(self) -> Compiled:
        """What is executed unless the workspace is shared."""
        return Compiled(self._clause, _PERSONAL)

    @cached_property
    def shared(self) -> Compiled:
        """What is executed in a shared workspace."""
        return Compiled(self._clause, _SHARED)

    def compiled(self, parameters: Mapping[str, Any]) -> Compiled:
        """What is executed with these parameters."""
        is_personal = parameters.get("caller_workspace_id") == parameters.get("caller_user_id")
        return self.personal if is_personal else self.shared

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the result's columns."""
        return tuple(str(column.name) for column in self._clause.exported_columns)


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
