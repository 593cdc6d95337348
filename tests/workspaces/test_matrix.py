"""Every operation below a shared workspace, with the token of each kind of person.

The operations and their requests come from the OpenAPI document, and the expected results from
their scopes, so a new operation is covered without a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from support.api import Api
from support.calls import Call, Request
from support.contract import Contract
from support.resources import filled_in
from support.sharing import IN_WORKSPACE, OF_WORKSPACE, SPANNING, writes
from support.world import worker

from config import Settings
from taskapi.http.scopes import SCOPES
from taskapi.workspaces.models import ADMIN, EDITOR, OWNER, ROLES, VIEWER

ANONYMOUS, STRANGER, FORMER = "anonymous", "stranger", "former member"
OUTSIDERS = (STRANGER, FORMER)
EDITORS = (EDITOR, ADMIN, OWNER)
MANAGERS = (ADMIN, OWNER)
PEOPLE = (ANONYMOUS, *OUTSIDERS, *reversed(ROLES))

FEWER = {
    "update_comment": (OWNER,),
    "patch_comment": (OWNER,),
    "delete_comment": MANAGERS,
    "list_invitations": MANAGERS,
    "delete_workspace": (OWNER,),
    "transfer_workspace": (OWNER,),
}
"""Who may use an operation that fewer may than its kind allows. The rows are the owner's."""

Everyone = Mapping[str, Api]


def _allowed(call: Call) -> tuple[str, ...]:
    """The roles that may use an operation."""
    if call.name in FEWER:
        return FEWER[call.name]
    if call in OF_WORKSPACE:
        return ROLES if call.method == "GET" else MANAGERS
    return EDITORS if writes(call) else ROLES


def _check_refusal(call: Call, who: str, person: Api, request: Request) -> None:
    response = request.send(person)
    problem = response.get_json()
    expected = (401, "authentication_required") if who == ANONYMOUS else (403, "forbidden")
    if who in ROLES and call.name not in FEWER:
        expected = (403, "insufficient_role")
    found = response.status_code, problem["code"] if call.name not in FEWER else expected[1]
    assert found == expected, f"{who}: {problem}"


@pytest.fixture(scope="module")
def everyone(settings: Settings, contract: Contract) -> Iterator[Everyone]:
    with worker(settings, quota_workspaces=1_000) as app:
        client = app.test_client()
        people = {who: Api(client, contract).registered() for who in PEOPLE if who != ANONYMOUS}
        yield people | {ANONYMOUS: Api(client, contract)}


@pytest.fixture(scope="module")
def shared(everyone: Everyone) -> int:
    return _workspace(everyone)


def _workspace(everyone: Everyone) -> int:
    """A new workspace with a member of each role, which another member has left."""
    owner = everyone[OWNER]
    members = {role: everyone[role] for role in ROLES if role != OWNER}
    workspace_id = owner.workspace(**members, editor2=everyone[FORMER])
    path = f"/workspaces/{workspace_id}/members/{everyone[FORMER].user_id}"
    everyone[FORMER].expect(204, "DELETE", path)
    return workspace_id


@pytest.fixture(scope="module")
def tokens(everyone: Everyone) -> Everyone:
    """A personal access token of each person, with all scopes and for all workspaces."""
    return {who: everyone[who].with_token(*SCOPES) for who in PEOPLE[1:]}


@pytest.fixture(scope="module")
def tokens_for_others(everyone: Everyone) -> Everyone:
    """The same, for the personal workspace alone."""
    return {
        who: everyone[who].with_token(*SCOPES, workspace_ids=[everyone[who].user_id])
        for who in PEOPLE[1:]
    }


def _at(person: Api, workspace_id: int) -> Api:
    """A client in the workspace, also without a token."""
    found = Api(person.client, person.contract)
    found.email, found.login, found.base = person.email, person.login, f"/workspaces/{workspace_id}"
    return found


def _content(owner: Api, request: Request) -> Iterator[tuple[str, Any, str | None]]:
    """All content that can be read with the arguments of a request."""
    for call in IN_WORKSPACE:
        if call.method == "GET" and set(call.arguments) <= request.arguments.keys():
            response = Request(call, request.arguments).send(owner)
            assert response.status_code == 200, response.get_data(as_text=True)
            yield call.name, response.get_json(), response.headers.get("ETag")


@pytest.mark.parametrize("call", IN_WORKSPACE, ids=str)
def test_content(everyone: Everyone, shared: int, call: Call) -> None:
    owner = everyone[OWNER].at(shared)
    allowed = _allowed(call)
    request = filled_in(call, owner)
    before = list(_content(owner, request))
    for who in PEOPLE:
        if who not in allowed:
            _check_refusal(call, who, _at(everyone[who], shared), request)
    assert list(_content(owner, request)) == before
    for who in allowed:
        response = filled_in(call, owner).send(_at(everyone[who], shared))
        assert response.status_code == call.status, f"{who}: {response.get_data(as_text=True)}"


@pytest.mark.parametrize("call", IN_WORKSPACE, ids=str)
def test_content_by_personal_access_tokens(
    everyone: Everyone, tokens: Everyone, tokens_for_others: Everyone, shared: int, call: Call
) -> None:
    """Scopes add nothing to the role, and a role nothing to a token for another workspace."""
    owner = everyone[OWNER].at(shared)
    allowed = _allowed(call)
    request = filled_in(call, owner)
    before = list(_content(owner, request))
    for who, token in tokens.items():
        if who not in allowed:
            _check_refusal(call, who, _at(token, shared), request)
    for token in tokens_for_others.values():
        response = request.send(_at(token, shared))
        assert (response.status_code, response.get_json()["code"]) == (403, "insufficient_scope")
    assert list(_content(owner, request)) == before
    for who in allowed:
        response = filled_in(call, owner).send(_at(tokens[who], shared))
        assert response.status_code == call.status, f"{who}: {response.get_data(as_text=True)}"


@pytest.mark.parametrize("call", OF_WORKSPACE, ids=str)
def test_the_workspace_itself(everyone: Everyone, call: Call) -> None:
    owner = everyone[OWNER]

    def new_request(workspace_id: int) -> Request:
        request = filled_in(call, owner, {"workspace_id": workspace_id})
        if call.name == "transfer_workspace":
            request.body = {"user_id": everyone[VIEWER].user_id}
        return request

    def state(workspace_id: int) -> list[Any]:
        paths = (f"/workspaces/{workspace_id}{below}" for below in ("", "/members", "/invitations"))
        return [owner.expect(200, "GET", path) for path in paths]

    workspace_id = _workspace(everyone)
    request = new_request(workspace_id)
    before = state(workspace_id)
    for who in PEOPLE:
        if who not in _allowed(call):
            _check_refusal(call, who, everyone[who], request)
    assert state(workspace_id) == before
    for who in _allowed(call):
        response = new_request(_workspace(everyone)).send(everyone[who])
        assert response.status_code == call.status, f"{who}: {response.get_data(as_text=True)}"


def test_operations_that_span_workspaces_ignore_the_prefix(everyone: Everyone, shared: int) -> None:
    for call in SPANNING:
        for who in PEOPLE[1:]:
            request = filled_in(call, everyone[who])
            below, root = (request.send(one) for one in (_at(everyone[who], shared), everyone[who]))
            assert (below.status_code, below.get_json()) == (root.status_code, root.get_json())
