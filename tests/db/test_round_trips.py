"""Database round trips of each operation, counted on the connection.

With prepared statements, the first use of a statement on a connection takes one round trip
more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from support import databases, wire, world
from support.api import PASSWORD, Api
from support.calls import CALLS, Call
from support.contract import Contract
from support.resources import filled_in
from support.round_trips import ALL, TOGETHER, UNPREPARED, Case, label_of, request
from support.wire import Traffic, Wire

from taskapi import create_app
from taskapi.extensions import db
from taskapi.tasks.models import Task

TRANSACTION = ("BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "SET", "DISCARD", "DEALLOCATE")

Tapped = tuple[Flask, Wire, bool]
"""The application, the proxy in front of its database, and whether it prepares statements."""


@pytest.fixture(scope="module", params=[False, True], ids=["unprepared", "prepared"])
def tapped(request: pytest.FixtureRequest, database_url: str) -> Iterator[Tapped]:
    with wire.tapped(database_url) as line:
        settings = databases.settings_for(
            line.url, database_prepare=request.param, database_pool_size=1
        )
        app = create_app(settings)
        yield app, line, request.param
        app.extensions["taskapi_pool"].close()


def _measured(tapped: Tapped, contract: Contract, case: Case) -> Iterator[tuple[bool, Traffic]]:
    """The round trips of a first request, and of one whose statements are prepared."""
    app, line, is_prepared = tapped
    stranger = world.person(app, contract).registered()
    for is_warm in (False, True):
        me = world.person(app, contract).registered()
        sent = case.of(me, stranger)
        with line.watched() as traffic:
            response = me.send(sent.pop("method"), sent.pop("path"), **sent)
        assert response.status_code == case.status
        if is_warm or not is_prepared:
            assert traffic.round_trips == case.round_trips
        yield is_warm, traffic


def _of_transactions(traffic: Traffic) -> list[str]:
    return [text for text in traffic.statements if text.upper().startswith(TRANSACTION)]


SEVERAL = {
    "change_email": 8,
    "change_password": 7,
    "complete_task": 9,
    "confirm_second_factor": 6,
    "create_token": 5,
    "delete_account": 24,  # each table of content
    "create_workspace": 8,
    "rename_workspace": 7,
    "transfer_workspace": 11,
    "delete_workspace": 21,  # each table of content
    "set_member_role": 9,
    "remove_member": 10,
    "list_invitations": 2,
    "create_invitation": 12,
    "revoke_invitation": 6,
    "accept_invitation_token": 13,
    "accept_invitation": 13,
    "decline_invitation_token": 2,
    "decline_invitation": 2,
    "create_identity": 10,
    "delete_identity": 5,
    "delete_label": 4,
    "delete_task": 7,  # of a task that recurs
    "disable_second_factor": 7,
    "end_other_sessions": 2,
    "enroll_second_factor": 5,
    "merge_label": 4,
    "move_list": 6,
    "move_task": 7,
    "set_password_by_identity": 11,
    "send_verification": 4,
    "replace_recovery_codes": 6,
    "revoke_all_tokens": 2,
    "skip_occurrence": 9,
    "undo_occurrence": 9,
}
"""Operations on several rows, members or with a password, with their maximum of round trips."""


@pytest.mark.parametrize("call", [call for call in CALLS if call.needs_token], ids=str)
def test_an_operation_takes_one_round_trip_unless_it_is_listed(
    tapped: Tapped, contract: Contract, call: Call
) -> None:
    app, line, _ = tapped
    for _ in range(2):  # its statements may have to be prepared
        me = world.person(app, contract).registered()
        sent = filled_in(call, me)
        with line.watched() as traffic:
            response = sent.send(me)
        assert response.status_code == call.status
    assert traffic.round_trips <= SEVERAL.get(call.name, 1)
    assert _of_transactions(traffic) in ([], ["BEGIN", "COMMIT"])


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_request_takes_one_round_trip_and_an_error_at_most_two(
    tapped: Tapped, contract: Contract, case: Case
) -> None:
    for is_warm, traffic in _measured(tapped, contract, case):
        assert _of_transactions(traffic) == []
        if case in UNPREPARED:
            assert traffic.round_trips >= len(traffic.statements) >= 1
        elif is_warm and tapped[2]:
            assert traffic.statements == []
        elif not tapped[2]:
            assert len(traffic.statements) == case.round_trips


@pytest.mark.parametrize("case", TOGETHER, ids=lambda case: case.name)
def test_a_write_of_several_rows_is_one_transaction(
    tapped: Tapped, contract: Contract, case: Case
) -> None:
    for _, traffic in _measured(tapped, contract, case):
        assert _of_transactions(traffic) == ["BEGIN", "COMMIT"]


def test_a_password_change_is_one_transaction(tapped: Tapped, contract: Contract) -> None:
    app, line, _ = tapped
    me = world.person(app, contract).registered()
    body = {"current_password": PASSWORD, "new_password": "another good one"}
    with line.watched() as traffic:
        me.expect(200, "POST", "/auth/password", json=body)
    assert "BEGIN" in traffic.statements
    assert traffic.statements[-1] == "COMMIT"


def test_a_label_is_deleted_or_merged_in_one_transaction(
    tapped: Tapped, contract: Contract
) -> None:
    app, line, _ = tapped
    me = world.person(app, contract).registered()
    into = me.label()["id"]
    for ending in (("DELETE", "", {}), ("POST", "/merge", {"json": {"into": into}})):
        method, rest, body = ending
        address = label_of(me)
        for _ in range(2):  # the statements may have to be prepared
            with line.watched() as traffic:
                me.send(method, f"{address}{rest}", **body)
            address = label_of(me)
        assert traffic.round_trips == 4
        assert (traffic.statements[0], traffic.statements[-1]) == ("BEGIN", "COMMIT")


def test_a_write_with_a_key_takes_five_round_trips_and_a_replay_three(
    tapped: Tapped, contract: Contract
) -> None:
    app, line, is_prepared = tapped
    for _ in range(2):
        me = world.person(app, contract).registered()
        sent = request("POST", "/tasks", {"title": "a"}, Idempotency_Key="a")
        counted = []
        for _ in range(2):
            with line.watched() as traffic:
                assert me.send(**sent).status_code == 201
            counted.append(traffic.round_trips)
            assert traffic.statements[0] == "BEGIN"
            assert traffic.statements[-1] in ("COMMIT", "ROLLBACK")
        if not is_prepared:
            assert counted == [5, 3]
    assert counted == [5, 3]


def test_task_operations_load_no_orm_object(
    app: Flask, user: Api, request: pytest.FixtureRequest
) -> None:
    created: list[Any] = []

    def record(target: Any, *_: Any) -> None:
        created.append(target)

    for name in ("load", "init"):
        event.listen(db.Model, name, record, propagate=True)
        request.addfinalizer(lambda name=name: event.remove(db.Model, name, record))
    task = user.task()
    address = f"/tasks/{task['id']}"
    user.expect(200, "GET", "/tasks")
    user.expect(200, "GET", address)
    user.expect(200, "PATCH", address, json={"title": "New"})
    user.expect(200, "GET", "/auth/me")
    assert created == []
    with app.app_context():
        db.session.get(Task, (user.user_id, task["id"]))
    assert len(created) == 1, "the tap does not work"
