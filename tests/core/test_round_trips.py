"""One request, one round trip to the database: counted on the wire, for each call.

With and without statements that are prepared on the server, each of which costs a round trip more
when it is used for the first time on a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import event
from support import databases, wire, world
from support.api import PASSWORD, Api
from support.contract import Contract
from support.wire import Wire

from taskapi import create_app
from taskapi.extensions import db
from taskapi.tasks.models import Task

TRANSACTION = ("BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "SET", "DISCARD", "DEALLOCATE")
PREVIEW = {"rrule": "FREQ=DAILY", "due": {"date": "2026-12-24"}}
QUERY = "/tasks?limit=1&sort=-title&is_completed=false"
NOWHERE = {"title": "a", "list_id": 9_007_199_254_740_991}
FILTER = {"name": "a", "query": "priority >= 3"}
UNLABELLED = {"title": "a", "label_ids": [9_007_199_254_740_991]}

Request = dict[str, Any]


class Case(NamedTuple):
    """A request that is to be answered with this status in at most so many round trips."""

    name: str
    status: int
    round_trips: int
    of: Callable[[Api, Api], Request]
    """Makes what is needed, as a person beside a stranger, and gives what to send."""


def _request(method: str, path: str, body: Any = None, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"method": method, "path": path, "json": body, "headers": named}


def _address(api: Api, **values: Any) -> str:
    return f"/tasks/{api.task(**values)['id']}"


def _list(api: Api) -> str:
    return f"/lists/{api.expect(201, 'POST', '/lists', json={'name': 'a'})['id']}"


def _in_list(api: Api) -> dict[str, Any]:
    return {"title": "a", "list_id": int(_list(api).rpartition("/")[2])}


def _label(api: Api) -> str:
    return f"/labels/{api.label()['id']}"


def _labelled(api: Api) -> str:
    """The address of a label of a task that has it."""
    label_id = api.label()["id"]
    return f"{_address(api, label_ids=[label_id])}/labels/{label_id}"


def _filter(api: Api) -> str:
    return f"/filters/{api.filter()['id']}"


def _kept_filter(api: Api) -> str:
    return f"/tasks?filter_id={api.filter()['id']}"


def _tasks_of(api: Api) -> str:
    list_id = api.task(**_in_list(api))["list_id"]
    return f"/tasks?list_id={list_id}"


def _second(api: Api) -> str:
    api.task()
    return _address(api)


def _child(api: Api) -> dict[str, Any]:
    return {"title": "a", "parent_id": api.task()["id"]}


def _parent(api: Api) -> str:
    return f"/tasks/{api.task(**_child(api))['parent_id']}"


def _recurring(api: Api) -> str:
    due, recurrence = {"date": "2150-01-05"}, {"rrule": "FREQ=DAILY;COUNT=2"}
    return _address(api, due=due, recurrence=recurrence)


def _at_its_last(api: Api) -> str:
    address = _recurring(api)
    api.expect(200, "POST", f"{address}/complete")
    return address


def _full_list(api: Api) -> str:
    return f"/lists/{api.task(**_in_list(api))['list_id']}"


def _next_page(api: Api) -> str:
    for title in ("a", "b", "c"):
        api.task(title=title)
    return f"{QUERY}&cursor={api.expect(200, 'GET', QUERY)['next_cursor']}"


def _version(api: Api, address: str) -> str:
    return api.send("GET", address).headers["ETag"]


def _logged_out(api: Api, path: str) -> str:
    api.expect(200, "POST", "/auth/logout")
    return path


def _logged_in_twice(api: Api, path: str) -> str:
    api.again()
    return path


def _known(api: Api, address: str) -> Request:
    return _request("GET", address, If_None_Match=_version(api, address))


DONE = [
    Case("list", 200, 1, lambda me, _: _request("GET", "/tasks")),
    Case("list, a page on", 200, 1, lambda me, _: _request("GET", _next_page(me))),
    Case("list, empty", 200, 1, lambda me, _: _request("GET", "/tasks?is_completed=true")),
    Case("list, known", 304, 1, lambda me, _: _known(me, "/tasks")),
    Case("list, known by star", 304, 1, lambda me, _: _request("GET", QUERY, If_None_Match="*")),
    Case("get", 200, 1, lambda me, _: _request("GET", _address(me))),
    Case("get, known", 304, 1, lambda me, _: _known(me, _address(me))),
    Case("head", 200, 1, lambda me, _: _request("HEAD", _address(me))),
    Case("create", 201, 1, lambda me, _: _request("POST", "/tasks", {"title": "a"})),
    Case(
        "create whole",
        201,
        1,
        lambda me, _: _request(
            "POST", "/tasks", {"title": "a", "description": "b", "is_completed": True}
        ),
    ),
    Case("put", 200, 1, lambda me, _: _request("PUT", _address(me), {"title": "b"})),
    Case("patch", 200, 1, lambda me, _: _request("PATCH", _address(me), {"is_completed": True})),
    Case("patch nothing", 200, 1, lambda me, _: _request("PATCH", _address(me), {})),
    Case(
        "patch if unchanged",
        200,
        1,
        lambda me, _: _request(
            "PATCH",
            (address := _address(me)),
            {"description": None},
            If_Match=_version(me, address),
        ),
    ),
    Case("delete", 204, 1, lambda me, _: _request("DELETE", _address(me, is_completed=True))),
    Case("create in a list", 201, 1, lambda me, _: _request("POST", "/tasks", _in_list(me))),
    Case("put back", 200, 1, lambda me, _: _request("PUT", _address(me), me.task())),
    Case("list of a list", 200, 1, lambda me, _: _request("GET", _tasks_of(me))),
    Case("lists", 200, 1, lambda me, _: _request("GET", "/lists")),
    Case("list, get", 200, 1, lambda me, _: _request("GET", _list(me))),
    Case("list, create", 201, 1, lambda me, _: _request("POST", "/lists", {"name": "a"})),
    Case("list, patch", 200, 1, lambda me, _: _request("PATCH", _list(me), {"name": "b"})),
    Case("list, delete", 204, 1, lambda me, _: _request("DELETE", _list(me))),
    Case(
        "list, delete and move",
        204,
        1,
        lambda me, _: _request("DELETE", f"/lists/{_in_list(me)['list_id']}?tasks=move"),
    ),
    Case("occurrences", 200, 1, lambda me, _: _request("GET", f"{_at_its_last(me)}/occurrences")),
    Case("labels", 200, 1, lambda me, _: _request("GET", "/labels")),
    Case("label, get", 200, 1, lambda me, _: _request("GET", _label(me))),
    Case("label, create", 201, 1, lambda me, _: _request("POST", "/labels", {"name": "a"})),
    Case("label, patch", 200, 1, lambda me, _: _request("PATCH", _label(me), {"name": "b"})),
    Case(
        "create with a label",
        201,
        1,
        lambda me, _: _request("POST", "/tasks", {"title": "a", "label_ids": [me.label()["id"]]}),
    ),
    Case("put a label on", 200, 1, lambda me, _: _request("PUT", _address(me) + _label(me))),
    Case("put it on again", 200, 1, lambda me, _: _request("PUT", _labelled(me))),
    Case("take a label off", 200, 1, lambda me, _: _request("DELETE", _labelled(me))),
    Case("take off none", 200, 1, lambda me, _: _request("DELETE", _address(me) + _label(me))),
    Case("filters", 200, 1, lambda me, _: _request("GET", "/filters")),
    Case("filter, get", 200, 1, lambda me, _: _request("GET", _filter(me))),
    Case("filter, create", 201, 1, lambda me, _: _request("POST", "/filters", FILTER)),
    Case("filter, patch", 200, 1, lambda me, _: _request("PATCH", _filter(me), FILTER)),
    Case("filter, delete", 204, 1, lambda me, _: _request("DELETE", _filter(me))),
    Case("account", 200, 1, lambda me, _: _request("GET", "/auth/me")),
    Case("sessions", 200, 1, lambda me, _: _request("GET", "/auth/sessions")),
    Case(
        "end other sessions",
        200,
        1,
        lambda me, _: _request("DELETE", _logged_in_twice(me, "/auth/sessions")),
    ),
    Case(
        "preview a recurrence",
        200,
        1,
        lambda me, _: _request("POST", "/recurrence/preview", PREVIEW),
    ),
    Case("ready", 200, 1, lambda me, _: _request("GET", "/readyz")),
]
TOGETHER = [
    Case("put into a list", 200, 8, lambda me, _: _request("PUT", _address(me), _in_list(me))),
    Case("create a subtask", 201, 5, lambda me, _: _request("POST", "/tasks", _child(me))),
    Case(
        "complete a parent",
        200,
        7,
        lambda me, _: _request("PATCH", _parent(me), {"is_completed": True}),
    ),
    Case("delete a parent", 204, 6, lambda me, _: _request("DELETE", _parent(me))),
    Case("move to the end", 200, 6, lambda me, _: _request("POST", f"{_address(me)}/move", {})),
    Case(
        "move to the top",
        200,
        6,
        lambda me, _: _request("POST", f"{_second(me)}/move", {"after": None}),
    ),
    Case(
        "move behind another",
        200,
        8,
        lambda me, _: _request("POST", f"{_address(me)}/move", {"after": me.task()["id"]}),
    ),
    Case("complete", 200, 5, lambda me, _: _request("POST", f"{_address(me)}/complete")),
    Case(
        "complete an occurrence",
        200,
        7,
        lambda me, _: _request("POST", f"{_recurring(me)}/complete"),
    ),
    Case(
        "complete the last", 200, 6, lambda me, _: _request("POST", f"{_at_its_last(me)}/complete")
    ),
    Case("skip", 200, 7, lambda me, _: _request("POST", f"{_recurring(me)}/skip")),
    Case("undo", 200, 7, lambda me, _: _request("POST", f"{_at_its_last(me)}/undo")),
    Case("list, move to the end", 200, 6, lambda me, _: _request("POST", f"{_list(me)}/move", {})),
    Case(
        "list, move behind another",
        200,
        8,
        lambda me, _: _request("POST", f"{_list(me)}/move", {"after": me.user_id}),
    ),
]
"""What depends on rows beside the one that is asked for: not within one statement's sight."""

UNPREPARED = [
    Case("find", 200, 1, lambda me, _: _request("GET", "/tasks?filter=list+%3D+inbox")),
    Case("find overdue", 200, 1, lambda me, _: _request("GET", "/tasks?is_overdue=true")),
    Case("find, kept", 200, 2, lambda me, _: _request("GET", _kept_filter(me))),
    Case("find in nothing", 400, 1, lambda me, _: _request("GET", "/tasks?filter=list+%3D+a")),
    Case("find of none", 400, 1, lambda me, _: _request("GET", "/tasks?parent_id=1")),
    Case(
        "find, session over",
        401,
        1,
        lambda me, _: _request("GET", _logged_out(me, "/tasks?priority=3")),
    ),
]
"""Those whose statements are not kept prepared, since they depend on what is asked for."""

REFUSED = [
    Case("get, theirs", 403, 2, lambda _, them: _request("GET", _address(them))),
    Case("put, theirs", 403, 2, lambda _, them: _request("PUT", _address(them), {"title": "b"})),
    Case("delete, theirs", 403, 2, lambda _, them: _request("DELETE", _address(them))),
    Case("occurrences, none", 200, 2, lambda me, _: _request("GET", f"{_address(me)}/occurrences")),
    Case("get nothing", 404, 2, lambda me, _: _request("GET", "/tasks/9007199254740991")),
    Case("delete nothing", 404, 2, lambda me, _: _request("DELETE", "/tasks/9007199254740991")),
    Case(
        "put, changed",
        412,
        2,
        lambda me, _: _request("PUT", _address(me), {"title": "b"}, If_Match='"0"'),
    ),
    Case("create in no list", 400, 1, lambda me, _: _request("POST", "/tasks", NOWHERE)),
    Case("create, unknown label", 400, 1, lambda me, _: _request("POST", "/tasks", UNLABELLED)),
    Case(
        "label, create, taken",
        409,
        1,
        lambda me, _: _request("POST", "/labels", {"name": me.label()["name"]}),
    ),
    Case("delete, full", 409, 2, lambda me, _: _request("DELETE", _full_list(me))),
    Case("list, session over", 401, 1, lambda me, _: _request("GET", _logged_out(me, "/tasks"))),
    Case(
        "create, session over",
        401,
        1,
        lambda me, _: _request("POST", _logged_out(me, "/tasks"), {"title": "a"}),
    ),
    Case(
        "preview a recurrence, session over",
        401,
        1,
        lambda me, _: _request("POST", _logged_out(me, "/recurrence/preview"), PREVIEW),
    ),
    Case("get, session over", 401, 2, lambda me, _: _request("GET", _logged_out(me, _address(me)))),
]
UNASKED = [
    Case("alive", 200, 0, lambda me, _: _request("GET", "/livez")),
    Case("no such address", 404, 0, lambda me, _: _request("GET", "/nothing")),
    Case("bad body", 400, 0, lambda me, _: _request("POST", "/tasks", {"title": ""})),
    Case("bad filter", 400, 0, lambda me, _: _request("GET", "/tasks?filter=a")),
    Case("bad query", 400, 0, lambda me, _: _request("GET", "/tasks?cursor=x")),
    Case("bad token", 401, 0, lambda me, _: _request("GET", "/tasks", Authorization="Bearer x")),
]
ALL = [*DONE, *UNPREPARED, *REFUSED, *UNASKED]


@pytest.fixture(scope="module", params=[False, True], ids=["unprepared", "prepared"])
def tapped(request: pytest.FixtureRequest, database_url: str) -> Iterator[tuple[Flask, Wire, bool]]:
    with wire.tapped(database_url) as line:
        settings = databases.settings_for(
            line.url, database_prepare=request.param, database_pool_size=1
        )
        app = create_app(settings)
        yield app, line, request.param
        app.extensions["taskapi_pool"].close()


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_request_costs_one_round_trip_and_a_refusal_two_at_most(
    tapped: tuple[Flask, Wire, bool], contract: Contract, case: Case
) -> None:
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
        assert not [text for text in traffic.statements if text.upper().startswith(TRANSACTION)]
        if case in UNPREPARED:
            assert traffic.round_trips >= len(traffic.statements) >= 1
        elif is_warm and is_prepared:
            assert traffic.statements == []
        elif not is_prepared:
            assert len(traffic.statements) == case.round_trips


@pytest.mark.parametrize("case", TOGETHER, ids=lambda case: case.name)
def test_what_concerns_several_rows_is_one_transaction_of_few_statements(
    tapped: tuple[Flask, Wire, bool], contract: Contract, case: Case
) -> None:
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
        assert [text for text in traffic.statements if text.upper().startswith(TRANSACTION)] == [
            "BEGIN",
            "COMMIT",
        ]


def test_what_needs_several_statements_is_one_transaction(
    tapped: tuple[Flask, Wire, bool], contract: Contract
) -> None:
    app, line, _ = tapped
    me = world.person(app, contract).registered()
    body = {"current_password": PASSWORD, "new_password": "another good one"}
    with line.watched() as traffic:
        me.expect(200, "POST", "/auth/password", json=body)
    assert "BEGIN" in traffic.statements
    assert traffic.statements[-1] == "COMMIT"


def test_a_label_ends_in_one_transaction_of_two_statements(
    tapped: tuple[Flask, Wire, bool], contract: Contract
) -> None:
    app, line, _ = tapped
    me = world.person(app, contract).registered()
    into = me.label()["id"]
    for ending in (("DELETE", "", {}), ("POST", "/merge", {"json": {"into": into}})):
        method, rest, body = ending
        address = _label(me)
        for _ in range(2):  # the first time the statements may have to be prepared
            with line.watched() as traffic:
                me.send(method, f"{address}{rest}", **body)
            address = _label(me)
        assert traffic.round_trips == 4
        assert (traffic.statements[0], traffic.statements[-1]) == ("BEGIN", "COMMIT")


def test_a_write_with_a_key_takes_five_round_trips_and_its_repetition_three(
    tapped: tuple[Flask, Wire, bool], contract: Contract
) -> None:
    app, line, is_prepared = tapped
    for _ in range(2):
        me = world.person(app, contract).registered()
        sent = _request("POST", "/tasks", {"title": "a"}, Idempotency_Key="a")
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


def test_no_call_makes_an_object_of_the_orm(
    app: Flask, user: Api, request: pytest.FixtureRequest
) -> None:
    made: list[Any] = []

    def note(target: Any, *_: Any) -> None:
        made.append(target)

    for name in ("load", "init"):
        event.listen(db.Model, name, note, propagate=True)
        request.addfinalizer(lambda name=name: event.remove(db.Model, name, note))
    task = user.task()
    address = f"/tasks/{task['id']}"
    user.expect(200, "GET", "/tasks")
    user.expect(200, "GET", address)
    user.expect(200, "PATCH", address, json={"title": "New"})
    user.expect(200, "GET", "/auth/me")
    assert made == []
    with app.app_context():
        db.session.get(Task, (user.user_id, task["id"]))
    assert len(made) == 1, "the tap does not work"
