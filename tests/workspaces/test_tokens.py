"""Personal access tokens that are for some workspaces."""

from __future__ import annotations

import pytest
from support.api import Api


def test_a_token_is_for_its_workspaces(user: Api) -> None:
    first, second = user.workspace(), user.workspace()
    token = user.with_token("tasks:read", "workspaces:read", workspace_ids=[first])
    assert token.created["workspace_ids"] == [first]
    token.at(first).expect(200, "GET", "/tasks")
    for other in (token.at(second), token, token.at(user.user_id)):
        problem = other.problem(403, "insufficient_scope", "GET", "/tasks")
        assert problem["detail"] == "This token is not for this workspace."
    mine = token.expect(200, "GET", "/workspaces")["workspaces"]
    assert [workspace["id"] for workspace in mine] == [first]
    token.expect(200, "GET", f"/workspaces/{first}")
    token.expect(200, "GET", f"/workspaces/{first}/members")
    token.problem(403, "insufficient_scope", "GET", f"/workspaces/{second}")
    token.problem(403, "insufficient_scope", "GET", f"/workspaces/{second}/members")


def test_a_token_can_be_for_the_personal_workspace_alone(user: Api) -> None:
    shared = user.workspace()
    token = user.with_token("tasks:read", workspace_ids=[user.user_id])
    token.expect(200, "GET", "/tasks")
    token.at(user.user_id).expect(200, "GET", "/tasks")
    token.at(shared).problem(403, "insufficient_scope", "GET", "/tasks")


@pytest.mark.parametrize("given", [{}, {"workspace_ids": None}])
def test_other_tokens_are_for_all_workspaces(user: Api, given: dict[str, None]) -> None:
    token = user.with_token("tasks:read", **given)
    assert token.created["workspace_ids"] is None
    token.expect(200, "GET", "/tasks")
    token.at(user.workspace()).expect(200, "GET", "/tasks")


def test_scope_and_role_must_both_allow(user: Api, stranger: Api) -> None:
    shared = user.workspace(viewer=stranger)
    writing = stranger.with_token("tasks:read", "tasks:write").at(shared)
    writing.problem(403, "insufficient_role", "POST", "/tasks", json={"title": "New"})
    reading = user.with_token("tasks:read").at(shared)
    reading.problem(403, "insufficient_scope", "POST", "/tasks", json={"title": "New"})


@pytest.mark.parametrize("workspace_ids", [[], [0], ["7"], 7, [7, 7], [1.5], [2**53]])
def test_invalid_workspaces_are_refused(user: Api, workspace_ids: object) -> None:
    body = {"name": "Script", "scopes": ["tasks:read"], "workspace_ids": workspace_ids}
    user.problem(400, "invalid_input", "POST", "/auth/tokens", json=body)


def test_a_token_names_only_workspaces_of_its_user(user: Api, stranger: Api) -> None:
    theirs = stranger.workspace()
    for workspace_id in (theirs, stranger.user_id, 9007199254740991):
        body = {"name": "Script", "scopes": ["tasks:read"], "workspace_ids": [workspace_id]}
        problem = user.problem(400, "invalid_input", "POST", "/auth/tokens", json=body)
        assert problem["errors"][0]["code"] == "unknown_reference"


def test_tokens_do_not_manage_workspaces(user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    token = user.with_token("workspaces:read", "tasks:write")
    path = f"/workspaces/{shared}"
    body = {"email": "somebody@example.com", "role": "viewer"}
    member = f"{path}/members/{stranger.user_id}"
    for method, target, sent in (
        ("POST", "/workspaces", {"name": "New"}),
        ("PATCH", path, {"name": "New"}),
        ("DELETE", path, None),
        ("POST", f"{path}/transfer", {"user_id": stranger.user_id}),
        ("PATCH", member, {"role": "viewer"}),
        ("DELETE", member, None),
        ("GET", f"{path}/invitations", None),
        ("POST", f"{path}/invitations", body),
        ("POST", "/invitations/accept", {"token": "te_x"}),
    ):
        token.problem(403, "insufficient_scope", method, target, json=sent)
