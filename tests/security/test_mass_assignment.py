"""What a client cannot set: every column of every table is sent in every body of every call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Boolean, DateTime, Integer, LargeBinary
from sqlalchemy.types import TypeEngine
from support.api import PASSWORD, Api, new_email
from support.attackers import rows
from support.contract import Contract
from support.world import person, worker

from config import Settings
from taskapi.extensions import db

pytestmark = pytest.mark.security

NUMBER, MOMENT, WORD = 777_000_111, "2001-02-03T04:05:06Z", "f0r9ed"
TRACES = (str(NUMBER), MOMENT[:10], WORD)
"""What would show that a forged value was kept."""

CALLS = {
    "POST /auth/register": {"password": PASSWORD},
    "POST /auth/login": {"password": PASSWORD},
    "POST /auth/refresh": {},
    "POST /auth/password": {"current_password": PASSWORD, "new_password": "another password"},
    "POST /auth/delete": {"password": "wrong password"},
    "POST /lists": {"name": "Mine"},
    "PUT /lists/{list_id}": {"name": "Mine"},
    "PATCH /lists/{list_id}": {"name": "Mine"},
    "POST /lists/{list_id}/move": {"after": None},
    "POST /labels": {},
    "PUT /labels/{label_id}": {"color": None},
    "PATCH /labels/{label_id}": {"color": None},
    "POST /labels/{label_id}/merge": {},
    "POST /filters": {"name": "Mine", "query": "priority >= 3"},
    "PUT /filters/{filter_id}": {"name": "Mine"},
    "PATCH /filters/{filter_id}": {"name": "Mine"},
    "POST /recurrence/preview": {"rrule": "FREQ=DAILY", "due": {"date": "2026-12-24"}},
    "POST /tasks": {"title": "Mine"},
    "PUT /tasks/{task_id}": {"title": "Mine"},
    "PATCH /tasks/{task_id}": {"title": "Mine"},
    "POST /tasks/{task_id}/move": {"after": None},
}
SETTABLE = {
    *("title", "description", "is_completed", "email"),
    *("name", "color", "is_archived", "list_id", "label_ids", "query"),
    *("parent_id", "priority", "estimate_minutes"),
}
"""Columns that a client sets by their names, where a call takes them."""

READ_ONLY = {"id", "user_id", "position", "completed_at", "version", "created_at", "updated_at"}
"""Columns that come with an answer, and may be sent back without effect."""


def _forged(kind: TypeEngine[Any]) -> object:
    """A value that would be kept if the column of this type were assigned."""
    values = {Boolean: False, Integer: NUMBER, DateTime: MOMENT, LargeBinary: WORD.encode().hex()}
    return next((value for known, value in values.items() if isinstance(kind, known)), WORD)


COLUMNS = {
    column.name: _forged(column.type)
    for table in db.metadata.tables.values()
    for column in table.columns
    if column.name not in SETTABLE
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


def _body(user: Api, call: str) -> dict[str, Any]:
    """A body that the call would take."""
    own = {
        "POST /auth/register": {"email": new_email()},
        "POST /auth/login": {"email": user.email},
        "POST /auth/refresh": {"refresh_token": user.login["refresh_token"]},
        "POST /labels": {"name": f"Label of {new_email()}"},
    }
    if call == "POST /labels/{label_id}/merge":
        own[call] = {"into": user.label()["id"]}
    return CALLS[call] | own.get(call, {})


def _path(user: Api, call: str) -> tuple[str, str]:
    method, _, path = call.partition(" ")
    task = user.task() if "{" in path else {"id": 0}
    made = user.expect(201, "POST", "/lists", json={"name": "a"}) if "{list_id}" in path else task
    label = user.label() if "{label_id}" in path else task
    kept = user.filter() if "{filter_id}" in path else task
    ids = {"list_id": made["id"], "label_id": label["id"], "filter_id": kept["id"]}
    return method, path.format(task_id=task["id"], **ids)


def test_all_tables_and_all_calls_with_a_body_are_here(app: Flask, user: Api) -> None:
    documented = {
        f"{method.upper()} {path}"
        for path, calls in user.contract.document["paths"].items()
        for method, call in calls.items()
        if "requestBody" in call
    }
    assert documented == set(CALLS)
    assert {"hashed_password", "is_active", "task_count", "revoked_at", "answer"} <= set(COLUMNS)


@pytest.mark.parametrize("call", CALLS)
def test_a_column_that_is_not_the_clients_keeps_its_value(
    user: Api, stranger: Api, private: str, call: str, record_property: pytest.RecordProperty
) -> None:
    method, path = _path(user, call)
    forged = COLUMNS | OTHER_NAMES | {"user_id": stranger.user_id}
    for name, value in forged.items():
        body = _body(user, call) | {name: value}
        before = rows(private)
        response = user.send(method, path, json=body)
        after = rows(private)
        if response.status_code == 400:
            assert response.mimetype == "application/problem+json"
            assert after == before
        else:
            assert name in READ_ONLY
            assert response.status_code in (200, 201)
        _is_untouched(stranger, before, after)
        _has_no_trace(after)
    record_property("names", len(forged))


@pytest.mark.parametrize(
    "call", [call for call in CALLS if "/tasks" in call and "/move" not in call]
)
def test_a_whole_row_that_is_sent_back_forged_changes_what_may_be_changed_alone(
    user: Api, stranger: Api, private: str, call: str
) -> None:
    task = user.task()
    method, path = call.partition(" ")[::2]
    forged = {name: COLUMNS[name] for name in READ_ONLY} | {"user_id": stranger.user_id}
    before = rows(private)
    answer = user.send(method, path.format(task_id=task["id"]), json=task | forged)
    assert answer.status_code in (200, 201)
    shown = answer.get_json()
    assert shown["user_id"] == user.user_id
    assert shown["version"] == task["version"] + 1
    _is_untouched(stranger, before, rows(private))
    _has_no_trace(rows(private))


def _is_untouched(stranger: Api, before: dict[str, Any], after: dict[str, Any]) -> None:
    theirs = [
        {
            table: [row for row in found if stranger.user_id in (row.get("user_id"), row.get("id"))]
            for table, found in state.items()
            if table in ("users", "sessions", "tasks")
        }
        for state in (before, after)
    ]
    assert theirs[0] == theirs[1]


def _has_no_trace(state: dict[str, Any]) -> None:
    kept = str(state)
    assert not [trace for trace in TRACES if trace in kept]
    assert all(account["is_active"] for account in state["users"])
