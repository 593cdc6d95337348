"""Connections: declared types, prepared statements, errors and results."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Float,
    Interval,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    Time,
    bindparam,
    select,
)

import taskapi
from taskapi.db.statement import Statement, oid_of
from taskapi.runtime import connection as runtime
from taskapi.runtime.connection import Connection

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
VALUES: list[tuple[Any, list[Any]]] = [
    (BigInteger(), [1, 2**62, None]),
    (SmallInteger(), [1, 32_767, None]),
    (Numeric(), [Decimal("1.5"), 2, None]),
    (Float(), [0.25, None]),
    (Text(), ["é", "", None]),
    (String(10), ["a", None]),
    (LargeBinary(), [b"\0\xff", None]),
    (Boolean(), [True, None]),
    (Date(), [date(2026, 11, 28), None]),
    (Time(), [NOON.time(), None]),
    (DateTime(timezone=True), [NOON, None]),
    (DateTime(), [NOON.replace(tzinfo=None), None]),
    (ARRAY(BigInteger), [[1, 2], [], [None], None]),
    (ARRAY(Text), [["a"], [], None]),
    (ARRAY(Numeric), [[Decimal(1), Decimal("0.5")], [], None]),
]


@pytest.fixture(params=[False, True], ids=["unprepared", "prepared"])
def connection(database_url: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    with runtime.connection_class().connect(database_url, autocommit=True) as made:
        made.prepares = request.param
        made.prepare_threshold = None
        made.execute("SET TIME ZONE 'UTC'")
        yield made


def _prepared(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT name, statement FROM pg_prepared_statements ORDER BY prepare_time"
    ).fetchall()


@pytest.mark.parametrize(("declared", "values"), VALUES, ids=lambda found: str(found)[:30])
def test_a_statement_is_prepared_once_for_all_values(
    connection: Connection, declared: Any, values: list[Any]
) -> None:
    statement = Statement(select(bindparam("value", type_=declared).label("value"))).personal
    for value in values:
        ((found,),) = connection.run(
            statement.sql, statement.values({"value": value}), statement.types
        )
        assert found == value
    assert len(_prepared(connection)) == connection.prepares


def test_a_parameter_without_a_type_is_an_error() -> None:
    for kind in (bindparam("value").type, Interval()):
        with pytest.raises(TypeError, match="declare"):
            oid_of(kind)


def test_every_statement_declares_the_types_of_its_parameters() -> None:
    for module in pkgutil.walk_packages(taskapi.__path__, "taskapi."):
        if module.name.rpartition(".")[2] in ("statements", "queries", "service", "ratelimit"):
            importlib.import_module(module.name)
    statements = [found for found in gc.get_objects() if isinstance(found, Statement)]
    assert len(statements) > 20
    for statement in statements:
        for compiled in (statement.personal, statement.shared):
            assert len(compiled.types) == len(compiled.names)


def test_a_prepared_statement_is_named_by_its_text(database_url: str) -> None:
    names = []
    for sql in (b"SELECT 1", b"SELECT 2", b"SELECT 1"):
        with runtime.connection_class().connect(database_url, autocommit=True) as connection:
            connection.prepares = True
            connection.run(sql)
            names.append(_prepared(connection)[0][0])
    assert names[0] == names[2] != names[1]


def test_an_error_has_the_fields_of_the_database(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero) as failure:
        connection.run(b"SELECT 1 / $1", [0], (oid_of(BigInteger()),))
    assert (
        failure.value.diag.source_function == "int84div" or failure.value.diag.sqlstate == "22012"
    )
    assert connection.run(b"SELECT 1") == [(1,)]


def test_a_result_is_freed_once_it_was_read(connection: Connection) -> None:
    connection.run(b"SELECT 1")
    assert not [found for found in gc.get_objects() if isinstance(found, psycopg.pq.PGresult)]
