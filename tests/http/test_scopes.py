"""Every operation with a personal access token of every scope, new ones included."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from flask import Flask
from support.api import Api
from support.calls import CALLS, Call, everything_of
from support.resources import filled_in

from taskapi.http.operations import operation_of
from taskapi.http.scopes import SCOPES

NEEDS_TOKEN = [call for call in CALLS if call.needs_token]
SCOPED = [call for call in NEEDS_TOKEN if call.scopes]
FOR_LOGINS = [call for call in NEEDS_TOKEN if not call.scopes]


def _challenge(scopes: list[str]) -> str:
    scope = f', scope="{" ".join(scopes)}"' if scopes else ""
    return f'Bearer realm="taskapi", error="insufficient_scope"{scope}'


def _is_refused(tokens: Sequence[Api], call: Call, owner: Api) -> None:
    request = filled_in(call, owner)
    before = everything_of(owner)
    for token in tokens:
        response = request.send(token)
        assert response.status_code == 403, response.get_data(as_text=True)
        assert response.get_json()["code"] == "insufficient_scope"
        assert response.headers["WWW-Authenticate"] == _challenge(call.scopes)
    assert everything_of(owner) == before


ACCOUNTS = ("/auth", "/workspaces", "/invitations")
READABLE = {"get_me", "list_workspaces", "get_workspace", "list_members"}


def test_personal_access_tokens_only_read_accounts_and_workspaces() -> None:
    managing = {call.name for call in NEEDS_TOKEN if call.path.startswith(ACCOUNTS)}
    assert {call.name for call in FOR_LOGINS} == managing - READABLE


def test_each_scope_is_used_and_reads_only_read() -> None:
    used = {scope for call in SCOPED for scope in call.scopes}
    assert used == SCOPES.keys()
    for call in SCOPED:
        is_read = call.method == "GET" or call.name == "preview_recurrence"
        assert {scope.endswith(":read") for scope in call.scopes} == {is_read}, call


@pytest.mark.parametrize("call", SCOPED, ids=str)
def test_a_token_with_the_scopes_of_an_operation_can_use_it(user: Api, call: Call) -> None:
    token = user.with_token(*call.scopes)
    response = filled_in(call, user).send(token)
    assert response.status_code == call.status, response.get_data(as_text=True)


@pytest.mark.parametrize("call", NEEDS_TOKEN, ids=str)
def test_a_token_with_other_scopes_cannot_use_it(user: Api, call: Call) -> None:
    single = [[scope] for scope in SCOPES if [scope] != call.scopes]
    all_but_one = [[one for one in SCOPES if one != scope] for scope in call.scopes]
    tokens = [user.with_token(*scopes) for scopes in (*single, *all_but_one)]
    _is_refused(tokens, call, user)


@pytest.mark.parametrize("call", FOR_LOGINS, ids=str)
def test_a_token_with_all_scopes_manages_neither_the_account_nor_tokens(
    user: Api, call: Call
) -> None:
    _is_refused([user.with_token(*SCOPES)], call, user)


@pytest.mark.parametrize("call", NEEDS_TOKEN, ids=str)
def test_a_revoked_token_is_invalid_whatever_its_scopes(user: Api, call: Call) -> None:
    tokens = [user.with_token("tasks:read"), user.with_token(*SCOPES)]
    request = filled_in(call, user)
    user.expect(200, "DELETE", "/auth/tokens")
    for token in tokens:
        response = request.send(token)
        assert response.status_code == 401
        assert response.get_json()["code"] == "session_ended"


def test_the_document_has_the_declared_scopes(app: Flask) -> None:
    views = {view.__name__: view for view in app.view_functions.values() if operation_of(view)}
    for call in CALLS:
        declared = operation_of(views[call.name])
        assert declared
        assert call.scopes == list(declared.scopes)
