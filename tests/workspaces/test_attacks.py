"""Attacks across workspaces: IDs, cursors, keys and entity tags of one that are used in another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.api import Api
from support.calls import BY_NAME, Call, Request
from support.resources import create, filled_in
from support.sharing import IN_WORKSPACE
from werkzeug.test import TestResponse

MISSING = 2**53 - 1
WITH_IDS = [call for call in IN_WORKSPACE if call.arguments]
LISTS = [call for call in IN_WORKSPACE if "cursor" in call.parameters("query")]
CONDITIONAL = [call for call in IN_WORKSPACE if "If-None-Match" in call.parameters("header")]

TARGETS = {"parent_id": "task_id", "into": "label_id"}
"""The path argument for rows that a field or parameter references, if it has another name."""


class Place:
    """A workspace of a user, with a row for each path argument, which is created when needed."""

    def __init__(self, owner: Api) -> None:
        self.id = owner.workspace()
        self.person = owner.at(self.id)
        self._rows: dict[str, Any] = {}

    def row(self, argument: str) -> Any:
        if argument not in self._rows:
            self._rows[argument] = create(argument, self.person)
        return self._rows[argument]

    def everything(self) -> list[Any]:
        """All lists of the workspace."""
        found = []
        for call in IN_WORKSPACE:
            if call.method == "GET" and not call.arguments:
                response = self.person.send("GET", call.path, query_string=call.required)
                found.append((call.name, response.get_json()))
        return found


@pytest.fixture
def here(user: Api) -> Place:
    return Place(user)


@pytest.fixture
def there(stranger: Api) -> Place:
    return Place(stranger)


@pytest.fixture
def own(user: Api) -> Place:
    """Another workspace of the same user, whose rows the user may read, but not from here."""
    return Place(user)


def _target(call: Call, name: str) -> str | None:
    """The path argument for the rows that a field or parameter references, if it does."""
    if name == "after":
        return call.arguments[0] if call.arguments else None
    found = TARGETS.get(name) or name.removesuffix("s")
    is_made = f"create_{found.removesuffix('_id')}" in BY_NAME
    return found if found.endswith("_id") and is_made else None


def _is_parent(call: Call, argument: str) -> bool:
    """Whether a path argument is the parent of another one, such as a comment's task."""
    children = (other.removesuffix("_id") for other in call.arguments if other != argument)
    creations = (BY_NAME.get(f"create_{child}") for child in children)
    return any(creation and argument in creation.arguments for creation in creations)


def _references(call: Call) -> Iterator[tuple[str, str, str]]:
    """The place and name of each reference, and the argument for its target."""
    fields = call.body.get("properties", {}) if call.body else {}
    for place, names in (("body", fields), ("query", call.parameters("query"))):
        for name in names:
            target = _target(call, name)
            if target:
                yield place, name, target


def _known(response: TestResponse, row_id: Any) -> Any:
    """The error without its request ID, and without the ID that the request referenced."""
    text = re.sub(rf"\b(ID|Label) {row_id}\b", r"\1 N", response.get_data(as_text=True))
    return {name: value for name, value in json.loads(text).items() if name != "request_id"}


def _refused(call: Call, place: Place, part: str, name: str, row_id: Any) -> Any:
    """The error of a request that references a row of another workspace."""
    request = filled_in(call, place.person)
    if part == "body":
        value = [row_id] if name.endswith("_ids") else row_id
        request.body = {name: value} | ({"title": "New"} if call.name == "create_task" else {})
    else:
        request.query = f"{name}={row_id}"
    response = request.send(place.person)
    assert response.status_code == 400, response.get_data(as_text=True)
    return _known(response, row_id)


@pytest.mark.parametrize("call", WITH_IDS, ids=str)
def test_an_id_of_another_workspace_in_the_path(
    here: Place, there: Place, own: Place, call: Call
) -> None:
    for other in (there, own):
        for name in call.arguments:
            foreign = other.row(name)
            request = filled_in(call, here.person)
            before = [here.everything(), other.everything()]
            request.arguments[name] = foreign
            # Below a parent that is not its own, a row does not exist.
            expected = 404 if _is_parent(call, name) else 403
            assert request.send(here.person).status_code == expected
            request.arguments[name] = MISSING
            assert request.send(here.person).status_code == 404
            assert [here.everything(), other.everything()] == before


@pytest.mark.parametrize("call", IN_WORKSPACE, ids=str)
def test_an_id_of_another_workspace_in_the_body_or_query(
    here: Place, there: Place, own: Place, call: Call
) -> None:
    """It is the same error as for a row that does not exist."""
    for part, name, target in _references(call):
        missing = _refused(call, here, part, name, MISSING)
        for other in (there, own):
            foreign = other.row(target)
            before = other.everything()
            assert _refused(call, here, part, name, foreign) == missing
            assert other.everything() == before


def test_references_are_found() -> None:
    found = {(call.name, name) for call in IN_WORKSPACE for _, name, _ in _references(call)}
    assert found >= {
        *(("create_task", name) for name in ("list_id", "parent_id", "label_ids")),
        *(("move_task", name) for name in ("list_id", "parent_id", "after")),
        *(("list_tasks", name) for name in ("list_id", "filter_id")),
        ("merge_label", "into"),
        ("move_list", "after"),
        ("search_tasks", "filter_id"),
    }


@pytest.mark.parametrize("field", ["list", "parent", "label"])
def test_an_id_of_another_workspace_in_a_filter(
    here: Place, there: Place, own: Place, field: str
) -> None:
    argument = {"parent": "task_id"}.get(field, f"{field}_id")
    for path in ("/tasks", "/search"):
        found = []
        for row_id in (MISSING, there.row(argument), own.row(argument)):
            query = {"filter": f"{field} = {row_id} or {field} != {row_id}"}
            query |= {"text": "water"} if path == "/search" else {}
            sent = here.person.send("GET", path, query_string=query)
            found.append((sent.status_code, _known(sent, row_id)))
        assert found[0] == found[1] == found[2]
        assert found[0][0] == 400
    body = {"name": "Foreign", "query": f"{field} = {there.row(argument)}"}
    here.person.task()
    saved = here.person.expect(201, "POST", "/filters", json=body)
    here.person.expect(400, "GET", "/tasks", query_string={"filter_id": saved["id"]})


def test_the_child_of_another_parent(here: Place) -> None:
    """Rows below a task are found only below it."""
    for call in IN_WORKSPACE:
        for parent in call.arguments:
            if _is_parent(call, parent):
                request = filled_in(call, here.person)
                request.arguments[parent] = create(parent, here.person)
                assert request.send(here.person).status_code == 404, call


@pytest.mark.parametrize("call", LISTS, ids=str)
def test_a_cursor_of_another_workspace(here: Place, there: Place, call: Call) -> None:
    """A page contains rows of its own workspace and parent only, whatever the cursor says."""
    pages = []
    for place in (there, here):
        request = filled_in(call, place.person)
        for _ in range(3):
            _create_beside(call, request, place)
        request.query = "limit=1"
        pages.append((request, request.send(place.person).get_json()))
    (foreign, first), (request, _) = pages
    cursor = first["next_cursor"]
    if cursor is None:
        assert call.name == "search_tasks"
        return
    request.query = f"limit=1000&cursor={cursor}"
    found = request.send(here.person)
    assert found.status_code in (200, 400)
    request.query = "limit=1000"
    (rows,) = (value for value in request.send(here.person).get_json().values() if _is_rows(value))
    if found.status_code == 200:
        (seen,) = (value for value in found.get_json().values() if _is_rows(value))
        assert {row["id"] for row in seen} <= {row["id"] for row in rows}
    foreign.query = f"cursor={cursor}"
    if call.arguments:
        assert foreign.send(here.person).status_code == 403


def _create_beside(call: Call, request: Request, place: Place) -> None:
    """Create a row that a list contains."""
    if call.name == "list_occurrences":
        path = f"/tasks/{request.arguments['task_id']}/complete"
        place.person.expect(200, "POST", path)
        return
    noun = {"search_tasks": "task"}.get(
        call.name, call.name.removeprefix("list_").removesuffix("s")
    )
    create(f"{noun}_id", place.person, request.arguments)


def _is_rows(value: object) -> bool:
    return isinstance(value, list)


def test_a_key_is_for_one_workspace_and_one_member(user: Api, stranger: Api) -> None:
    shared = [user.workspace(editor=stranger) for _ in range(2)]
    keyed = {"json": {"title": "Once"}, "headers": {"Idempotency-Key": "the-same"}}
    clients = [user, stranger, *(one.at(id_) for one in (user, stranger) for id_ in shared)]
    first = [client.expect(201, "POST", "/tasks", **keyed) for client in clients]
    assert len({task["id"] for task in first}) == len(clients)
    assert [client.expect(201, "POST", "/tasks", **keyed) for client in clients] == first
    assert [user.at(id_).expect(200, "GET", "/tasks")["total"] for id_ in shared] == [2, 2]


def test_a_key_of_a_personal_workspace_is_not_that_of_its_prefix(user: Api) -> None:
    """The personal workspace has two base URLs, and its keys are the same at both."""
    keyed = {"json": {"title": "Once"}, "headers": {"Idempotency-Key": "one"}}
    first = user.expect(201, "POST", "/tasks", **keyed)
    assert user.at(user.user_id).expect(201, "POST", "/tasks", **keyed) == first


@pytest.mark.parametrize("call", CONDITIONAL, ids=str)
def test_an_entity_tag_reveals_nothing_to_others(
    here: Place, own: Place, stranger: Api, call: Call
) -> None:
    request = filled_in(call, here.person)
    tag = request.send(here.person).headers["ETag"]
    outside = stranger.at(here.id)
    for value in (tag, f"W/{tag}", "*", '"x"'):
        assert request.send(outside, headers={"If-None-Match": value}).status_code == 403
    assert request.send(here.person, headers={"If-None-Match": tag}).status_code == 304
    if not call.arguments:
        # The same URL with another base: a client that mixes them up gets the whole response.
        same = filled_in(call, own.person)
        assert same.send(own.person).headers["ETag"] != tag
        assert same.send(own.person, headers={"If-None-Match": tag}).status_code == 200


def test_the_entity_tag_of_another_workspace_does_not_match(here: Place, own: Place) -> None:
    path = f"/tasks/{here.person.task()['id']}"
    own.person.task()
    own.person.task()
    for listed in ("/tasks", "/lists"):
        tag = own.person.send("GET", listed).headers["ETag"]
        for method in ("PATCH", "DELETE"):
            body = {"json": {"title": "New"}} if method == "PATCH" else {}
            sent = here.person.send(method, path, headers={"If-Match": tag}, **body)
            assert sent.status_code == 412
