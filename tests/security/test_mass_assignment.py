"""Mass assignment: each operation is sent a body with the columns of all tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Boolean, DateTime, Integer, LargeBinary
from sqlalchemy.types import TypeEngine
from support.api import Api
from support.attackers import rows
from support.calls import CALLS, Call
from support.contract import Contract
from support.resources import body_of, filled_in
from support.stored import OWNERS
from support.world import person, worker

from config import Settings
from taskapi.extensions import db

pytestmark = pytest.mark.security

NUMBER, MOMENT, WORD = 777_000_111, "2001-02-03T04:05:06Z", "f0r9ed"
OWNED = sorted(OWNERS.items())
TRACES = (str(NUMBER), MOMENT[:10], WORD)
"""What would show that a forged value was kept."""

WITH_A_BODY = [call for call in CALLS if call.body]
OF_ROWS = [
    call
    for call in WITH_A_BODY
    if call.name.startswith(("create_", "update_", "patch_"))
    and {"user_id", "version"} <= call.response()["properties"].keys()
]
"""Operations that take a row as they return it."""


def _forged(kind: TypeEngine[Any]) -> object:
    """A value that would be kept if the column of this type were assigned."""
    values = {Boolean: False, Integer: NUMBER, DateTime: MOMENT, LargeBinary: WORD.encode().hex()}
    return next((value for known, value in values.items() if isinstance(kind, known)), WORD)


COLUMNS = {
    column.name: _forged(column.type)
    for table in db.metadata.tables.values()
    for column in table.columns
}
OTHER_NAMES = {
    **dict.fromkeys(("role", "roles", "is_admin", "owner", "owner_id", "scope", "sid"), WORD),
    **{name: {"is_admin": True} for name in ("user", "task", "account", "__proto__", "__class__")},
    **dict.fromkeys(("user.id", "tasks[0].user_id", "userId", "ID", "User_ID", "$set"), NUMBER),
}


@pytest.fixture(scope="module")
def small(settings: Settings, private: str) -> Iterator[Flask]:
    """The application with a database that holds nothing else."""
    with worker(settings, database_url=private) as app:
        yield app


@pytest.fixture
def user(small: Flask, contract: Contract) -> Api:
    return person(small, contract).registered()


@pytest.fixture
def stranger(small: Flask, contract: Contract) -> Api:
    return person(small, contract).registered()


def test_the_columns_of_all_tables_are_sent() -> None:
    assert {"hashed_password", "is_active", "revoked_at", "user_id", "version"} <= set(COLUMNS)
    assert len(WITH_A_BODY) > 20


ONLY_IN_PAGES = {"open_count", "completed_count"}
"""Fields of a row that only pages have. They are ignored, so that such a row can be sent back."""


@pytest.mark.parametrize("call", WITH_A_BODY, ids=str)
def test_a_body_cannot_set_a_read_only_or_hidden_column(
    user: Api,
    stranger: Api,
    private: str,
    call: Call,
    record_property: Callable[[str, object], None],
) -> None:
    assert call.body
    settable, read_only = call.body["properties"], call.response_names()
    forged = COLUMNS | OTHER_NAMES | {"user_id": stranger.user_id}
    forged = {name: value for name, value in forged.items() if name not in settable}
    request = filled_in(call, user)
    # The rows are compared once for all names that are not documented, since they are many.
    ignored = [{name} for name in forged.keys() & (read_only | ONLY_IN_PAGES)]
    unknown = forged.keys() - set().union(*ignored)
    for names in (*ignored, unknown):
        valid = body_of(call, user)
        bodies = [{**valid, name: forged[name]} for name in names]
        before = rows(private)
        responses = [request.send(user, data=json.dumps(body)) for body in bodies]
        after = rows(private)
        statuses = {response.status_code for response in responses}
        if statuses == {400}:
            assert {response.mimetype for response in responses} == {"application/problem+json"}
            assert after == before, names
        else:
            assert names != unknown
            assert statuses <= {200, 201}, names
        _is_untouched(stranger, before, after)
        _has_no_trace(after)
    record_property("names", len(forged))


@pytest.mark.parametrize("call", OF_ROWS, ids=str)
def test_a_resource_sent_back_with_forged_fields_changes_only_writable_ones(
    user: Api, stranger: Api, private: str, call: Call
) -> None:
    assert call.body
    request = filled_in(call, user)
    row = request.send(user).get_json()
    read_only = row.keys() & COLUMNS.keys() - call.body["properties"].keys()
    forged = {name: COLUMNS[name] for name in read_only} | {"user_id": stranger.user_id}
    before = rows(private)
    sent = row | body_of(call, user) | forged
    answer = request.send(user, data=json.dumps(sent))
    assert answer.status_code in (200, 201), answer.get_data(as_text=True)
    shown = answer.get_json()
    assert shown["user_id"] == user.user_id
    assert row["version"] < shown["version"] < NUMBER
    _is_untouched(stranger, before, rows(private))
    _has_no_trace(rows(private))


def _is_untouched(stranger: Api, before: dict[str, Any], after: dict[str, Any]) -> None:
    theirs = [
        [[row for row in state[table] if row[owner] == stranger.user_id] for table, owner in OWNED]
        for state in (before, after)
    ]
    assert theirs[0] == theirs[1]


def _has_no_trace(state: dict[str, Any]) -> None:
    kept = str(state)
    assert not [trace for trace in TRACES if trace in kept]
    assert all(account["is_active"] for account in state["users"])
