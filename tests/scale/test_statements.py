"""No statement has a form that Citus refuses.

The forms are those that a cluster refused (docs/scale.md), and those that its planner refuses
(`multi_router_planner.c`). EXPLAIN on tables that are partitioned like shards shows which shards a
statement uses, as in `test_sharding`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from functools import cache
from typing import Any

import psycopg
import pytest
from scale import sharded
from scale.sharded import COLUMN_OF, REFERENCE
from scale.statements import Found, Part, all_statements, parts
from scale.test_distribution import LOCAL
from support import databases

_VOLATILE = r"\b(clock_timestamp|random|gen_random_uuid|nextval|setval|timeofday)\("
_MUTABLE = r"\b(now|statement_timestamp|age|to_char|date_trunc|timezone)\(|\bCURRENT_|" + _VOLATILE
_LOCK = re.compile(r" FOR (?:UPDATE|NO KEY UPDATE|SHARE|KEY SHARE)(?: OF (\w+))?")
_TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO|USING) (\w+)|, (\w+)(?= WHERE|,| AS)")
_EVERYWHERE = "the IDs of other workspaces are on other shards"

_BY_NAME = {"address": "::1", "moments": "[]"}
_BY_TYPE = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "float8", "text", "bytea"), "1"),
    "bool": "true",
    "date": "2030-01-01",
    "time": "12:00",
    **dict.fromkeys(("timestamp", "timestamptz"), "2030-01-01T00:00Z"),
}
"""Values of parameters."""

CONTENT = ("tasks", "lists", "labels", "saved_filters", "occurrences", "comments")
SINGLE_ONLY = {f"{table}.create" for table in CONTENT}
"""Not executed in a cluster, where DATABASE_SHARDED replaces them by `sharded_create`."""

ALL_SHARDS = {
    **dict.fromkeys((f"{table}.diagnosis" for table in CONTENT), f"403 and 404: {_EVERYWHERE}"),
    "auth.memberships._owned": "before an account is deleted: which workspaces it owns",
    "db.workspace_deletion._deleted": "flask purge",
    "db.workspace_deletion._deleted_of_owner": "the deletion of an account",
    "auth.some_users": "flask users",
    "auth.described_user": "flask users",
    "workspaces.own_workspaces": "GET /workspaces: the workspaces of an account are anywhere",
    "workspaces.next_id": "POST /workspaces: how many workspaces the account owns",
    "workspaces.owned_number": "a transfer: how many workspaces the new owner owns",
    "workspaces.invitations.own_invitations": "GET /invitations: the names of the workspaces",
    "workspaces.invitations.find": "an accepted invitation: the name of its workspace",
    "http.idempotency._of_email.claim": "the account is found by its email, in the same statement",
    "http.idempotency._of_email.store": "the account is found by its email, in the same statement",
}
"""Statements that query more than one shard, with the reason."""


@cache
def _all() -> list[Found]:
    return all_statements()


def _tables(part: Part | str) -> set[str]:
    text = part if isinstance(part, str) else part.sql
    return {name for found in _TABLE.findall(text) for name in found if name}


def _violations(found: Found) -> Iterator[str]:
    sql = found.sql
    queries = parts(sql)
    writers = [part for part in queries if part.target in COLUMN_OF.keys() | REFERENCE]
    if "::VARCHAR" in sql:
        yield "a parameter that is cast to VARCHAR"
    if len(queries) > 1 and queries[-1].verb != "SELECT" and writers:
        yield "a write after WITH"
    if LOCAL & _tables(sql) and (COLUMN_OF.keys() | REFERENCE) & _tables(sql):
        yield "a local table beside others"
    for part in writers:
        yield from _violations_of_write(part)
    if _LOCK.search(sql):
        yield from _violations_of_locks(queries)
    for body in re.findall(r"UNION ALL SELECT deeper\..*?\)", sql):
        if not re.search(r"deeper\.workspace_id = \$", body):
            yield "a recursive query without the workspace"


def _violations_of_write(part: Part) -> Iterator[str]:
    body, _, returned = part.sql.partition(" RETURNING ")
    _, _, conflict = body.partition(" ON CONFLICT ")
    if re.search(_MUTABLE, returned):
        yield "a function in RETURNING that is not immutable"
    if re.search(_MUTABLE, conflict):
        yield "a function in ON CONFLICT that is not immutable"
    if part.verb != "INSERT":
        if re.search(_VOLATILE, body):
            yield "a volatile function in UPDATE or DELETE"
        for lazy in re.findall(r"\bCASE .*?\bEND\b|\bcoalesce\([^()]*\([^()]*\)", body):
            if re.search(_MUTABLE, lazy):
                yield "a function in CASE or coalesce that is not immutable"
    if part.target in REFERENCE and COLUMN_OF.keys() & _tables(part):
        yield "a write to a reference table that reads a distributed one"


def _violations_of_locks(queries: list[Part]) -> Iterator[str]:
    every = set().union(*map(_tables, queries))
    for part in queries:
        for locked in _LOCK.findall(part.sql):
            outside = re.sub(r"\((?:[^()]|\([^()]*\))*\)", "", part.sql)
            if ({locked} if locked else _tables(outside)) & REFERENCE and COLUMN_OF.keys() & every:
                yield "a lock on a reference table beside distributed tables"


def test_all_statements_are_found() -> None:
    names = {found.name for found in _all()}
    assert len(names) > 150
    tables = set().union(*(_tables(found.sql) for found in _all()))
    assert COLUMN_OF.keys() <= tables
    assert {"tasks.sharded_create.0", "labels.with_name", "task_page", "labelling"} <= names
    assert {name for name in names if name.removesuffix(".create") in CONTENT} == SINGLE_ONLY


def test_no_statement_has_a_form_that_is_refused() -> None:
    refused = {
        (found.name, reason)
        for found in _all()
        for reason in _violations(found)
        if found.name not in SINGLE_ONLY
    }
    assert refused == set()


@pytest.fixture(scope="module")
def cut(server_url: str, template: str, worker_id: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database whose tables are partitioned like shards."""
    url = databases.create(server_url, f"statements_{worker_id}", template)
    with psycopg.connect(url, autocommit=True) as connection:
        sharded.cut(connection, sharded.distribute(connection))
        connection.execute("SET plan_cache_mode = force_custom_plan")
        yield connection


def _plan(connection: psycopg.Connection[Any], found: Found, nulls: Container[str] = ()) -> str:
    """The plan with the same ID for all workspaces, accounts and rows.

    Args:
        nulls: the names of parameters that are null.
    """
    types, values = [], []
    for name, oid in zip(found.compiled.names, found.compiled.types, strict=True):
        info = psycopg.adapters.types[oid]
        is_array = oid == info.array_oid
        types.append(f"{info.regtype}[]" if is_array else info.regtype)
        value = "{1}" if is_array else _BY_NAME.get(name, _BY_TYPE[info.name])
        values.append("NULL" if name in nulls else f"'{value}'")
    declared, given = (f"({', '.join(each)})" if each else "" for each in (types, values))
    connection.execute(f"PREPARE asked {declared} AS ".encode() + found.compiled.sql)
    try:
        rows = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked{given}".encode()).fetchall()
    finally:
        connection.execute("DEALLOCATE asked")
    return json.dumps(rows[0][0])


def _shards(plan: str) -> set[str]:
    tables = "|".join(COLUMN_OF)
    return set(re.findall(rf'"Relation Name": "(?:{tables})_(\d)"', plan))


def test_each_statement_uses_one_shard_or_is_listed(cut: psycopg.Connection[Any]) -> None:
    several = {found.name for found in _all() if len(_shards(_plan(cut, found))) > 1}
    assert {name for name in several if "purge" not in name} == ALL_SHARDS.keys()


def test_a_null_removes_no_table_from_a_recursive_statement(cut: psycopg.Connection[Any]) -> None:
    """Citus finds no shard for a table whose condition PostgreSQL reduces to false."""
    recursive = [found for found in _all() if found.sql.startswith("WITH RECURSIVE")]
    assert len(recursive) >= 4
    nulls = {"parent_id", "list_id", "completed_at"}
    for found in recursive:
        plans = _plan(cut, found), _plan(cut, found, nulls)
        usual, with_nulls = (plan.count('"Relation Name": "tasks_') for plan in plans)
        assert usual == with_nulls, found.name
