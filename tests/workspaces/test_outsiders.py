"""Attacks of people who were never members, are not any more, or have a lower role."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.resources import filled_in
from support.sharing import IN_WORKSPACE, OF_WORKSPACE, writes

from config import Settings
from taskapi.http import admission

LOCK = "SELECT FROM workspaces WHERE id = %s FOR UPDATE"


@pytest.fixture
def third(client, contract: Contract) -> Api:
    return Api(client, contract).registered()


def _invite(person: Api, workspace_id: int, email: str, role: str = "admin") -> dict[str, Any]:
    path = f"/workspaces/{workspace_id}/invitations"
    return dict(person.expect(201, "POST", path, json={"email": email, "role": role}))


def _member(workspace_id: int, person: Api) -> str:
    return f"/workspaces/{workspace_id}/members/{person.user_id}"


@pytest.mark.parametrize("end", ["removed", "left", "demoted", "deleted"])
def test_an_admin_leaves_no_invitation_to_come_back_by(
    user: Api, stranger: Api, third: Api, end: str
) -> None:
    """An admin invites an own second account, and then loses the role."""
    shared = user.workspace(admin=stranger)
    sent = _invite(stranger, shared, third.email)
    kept = _invite(user, shared, new_email())
    member = _member(shared, stranger)
    if end == "removed":
        user.expect(204, "DELETE", member)
    elif end == "left":
        stranger.expect(204, "DELETE", member)
    elif end == "demoted":
        user.expect(200, "PATCH", member, json={"role": "editor"})
    else:
        stranger.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    path = "/invitations/accept"
    third.problem(400, "invitation_invalid", "POST", path, json={"token": sent["token"]})
    listed = user.expect(200, "GET", f"/workspaces/{shared}/invitations")["invitations"]
    assert [one["id"] for one in listed] == [kept["id"]]


def test_a_member_whose_role_still_allows_to_invite_keeps_the_invitations(
    user: Api, stranger: Api, third: Api
) -> None:
    shared = user.workspace(admin=stranger)
    sent = _invite(user, shared, third.email, "viewer")
    user.expect(200, "PATCH", _member(shared, stranger), json={"role": "admin"})
    user.expect(200, "POST", f"/workspaces/{shared}/transfer", json={"user_id": stranger.user_id})
    third.expect(200, "POST", "/invitations/accept", json={"token": sent["token"]})


def test_a_removed_member_has_no_second_invitation(
    settings: Settings, user: Api, stranger: Api
) -> None:
    """The member has an open invitation, since it was sent to an email that came later."""
    shared = user.workspace(editor=stranger)
    sent = _invite(user, shared, new_email(), "editor")
    world.sql(
        settings, "UPDATE users SET email = %s WHERE id = %s", sent["email"], stranger.user_id
    )
    user.expect(204, "DELETE", _member(shared, stranger))
    path = "/invitations/accept"
    stranger.problem(400, "invitation_invalid", "POST", path, json={"token": sent["token"]})
    stranger.at(shared).problem(403, "forbidden", "GET", "/tasks")


def test_an_acceptance_that_waits_for_the_removal_of_the_inviter_fails(
    app: Flask, settings: Settings, contract: Contract, user: Api, stranger: Api, third: Api
) -> None:
    shared = user.workspace(admin=stranger)
    sent = _invite(stranger, shared, third.email)
    client = world.person(app, contract, like=third)
    accept = partial(client.send, "POST", "/invitations/accept", json={"token": sent["token"]})
    with (
        world.holding(settings, LOCK, shared) as transaction,
        world.meanwhile(accept) as accepted,
    ):
        world.until_blocked(settings, 1)
        transaction.execute("DELETE FROM memberships WHERE user_id = %s", [stranger.user_id])
        transaction.execute("DELETE FROM invitations WHERE invited_by = %s", [stranger.user_id])
        transaction.commit()
        assert accepted.result().status_code == 400
    third.at(shared).problem(403, "forbidden", "GET", "/tasks")


def test_a_viewer_and_a_stranger_learn_no_email_address(
    user: Api, stranger: Api, third: Api
) -> None:
    shared = user.workspace(viewer=third)
    invited = _invite(user, shared, new_email())
    user.at(shared).task()
    secrets = [user.email, invited["email"], invited["token"]]
    for person in (third, stranger):
        for call in (*IN_WORKSPACE, *OF_WORKSPACE):
            if call.method != "GET":
                continue
            known = {"workspace_id": shared}
            request = filled_in(call, user if call in OF_WORKSPACE else user.at(shared), known)
            response = request.send(person if call in OF_WORKSPACE else person.at(shared))
            text = response.get_data(as_text=True)
            assert not any(secret in text for secret in secrets), call


def test_a_stranger_learns_no_member(user: Api, stranger: Api, third: Api) -> None:
    """The responses about a member and about nobody are the same."""
    shared = user.workspace(editor=third)
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
        found = []
        for user_id in (third.user_id, user.user_id, stranger.user_id, 2**53 - 1):
            path = f"/workspaces/{shared}/members/{user_id}"
            problem = stranger.problem(403, "forbidden", method, path, json=body)
            found.append(problem | {"request_id": ""})
        assert all(one == found[0] for one in found)
    for email in (third.email, new_email()):
        body = {"email": email, "role": "viewer"}
        stranger.problem(403, "forbidden", "POST", f"/workspaces/{shared}/invitations", json=body)


def test_a_deactivated_member_has_no_access(app: Flask, user: Api, stranger: Api) -> None:
    shared = user.workspace(admin=stranger)
    token = stranger.with_token("tasks:read", "workspaces:read")
    run = app.test_cli_runner().invoke
    assert run(args=["users", "deactivate", stranger.email]).exit_code == 0
    for client in (stranger, token):
        client.at(shared).problem(401, "session_ended", "GET", "/tasks")
        client.problem(401, "session_ended", "GET", f"/workspaces/{shared}/members")
    assert run(args=["users", "activate", stranger.email]).exit_code == 0
    stranger.at(shared).problem(401, "session_ended", "GET", "/tasks")
    stranger.again().at(shared).expect(200, "GET", "/tasks")


def test_a_member_with_a_deleted_account_is_gone(
    client: Any, contract: Contract, user: Api, stranger: Api
) -> None:
    shared = user.workspace(admin=stranger)
    token = stranger.with_token("tasks:write").at(shared)
    token.task()
    stranger.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    for person in (stranger.at(shared), token):
        person.problem(401, "session_ended", "POST", "/tasks", json={"title": "New"})
    path = f"/workspaces/{shared}/transfer"
    user.problem(400, "invalid_input", "POST", path, json={"user_id": stranger.user_id})
    user.problem(404, "not_found", "DELETE", _member(shared, stranger))
    # Whoever registers the email address next is somebody else.
    body = {"email": stranger.email, "password": PASSWORD}
    successor = Api(client, contract)
    successor.login = successor.expect(201, "POST", "/auth/register", json=body)
    successor.at(shared).problem(403, "forbidden", "GET", "/tasks")


def test_a_token_for_a_workspace_is_no_token_for_the_account(user: Api, stranger: Api) -> None:
    mine, theirs = user.workspace(), stranger.workspace(editor=user)
    scopes = ("profile:read", "tasks:read", "tasks:write", "workspaces:read")
    token = user.with_token(*scopes, workspace_ids=[theirs])
    token.at(theirs).task()
    for base in (token, token.at(user.user_id), token.at(mine)):
        base.problem(403, "insufficient_scope", "GET", "/tasks")
        base.problem(403, "insufficient_scope", "POST", "/tasks", json={"title": "New"})
    for base in (token, token.at(theirs)):
        for path in ("/auth/sessions", "/auth/tokens", "/auth/identities", "/invitations"):
            if base is token or path != "/invitations":
                base.problem(403, "insufficient_scope", "GET", path)
        body = {"name": "New", "scopes": ["tasks:read"]}
        base.problem(403, "insufficient_scope", "POST", "/auth/tokens", json=body)
        found = base.expect(200, "GET", "/workspaces")["workspaces"]
        assert [workspace["id"] for workspace in found] == [theirs]
        base.problem(403, "insufficient_scope", "POST", "/workspaces", json={"name": "New"})
    token.problem(403, "insufficient_scope", "GET", f"/workspaces/{mine}")
    token.problem(403, "insufficient_scope", "GET", f"/workspaces/{mine}/members")
    stranger.expect(204, "DELETE", _member(theirs, user))
    token.at(theirs).problem(403, "forbidden", "GET", "/tasks")
    assert token.expect(200, "GET", "/workspaces") == {"workspaces": []}


def test_outsiders_and_viewers_do_not_wait_for_the_lock_of_a_workspace(
    settings: Settings, user: Api, stranger: Api, third: Api
) -> None:
    """They cannot queue before its members. A request that waits for the lock is a 503."""
    shared = user.workspace(viewer=third)
    calls = [call for call in IN_WORKSPACE if writes(call)]
    requests = [filled_in(call, user.at(shared)) for call in calls]
    keyed = {"headers": {"Idempotency-Key": "one"}}
    with world.holding(settings, LOCK, shared):
        for request in requests:
            for person in (stranger.at(shared), third.at(shared)):
                assert request.send(person).status_code == 403, request.call
                assert request.send(person, **keyed).status_code == 403, request.call


def test_writes_of_outsiders_use_no_share_of_the_workspace(
    settings: Settings, contract: Contract, user: Api, stranger: Api, third: Api
) -> None:
    """A worker counts a write towards the workspace only if it knows that the account may write."""
    shared = user.workspace(editor=third)
    task = user.at(shared).task()
    path = f"/workspaces/{shared}/tasks/{task['id']}"
    with world.worker(settings) as app:
        known = app.extensions["taskapi_admission"]
        clients = {one.user_id: world.person(app, contract, like=one) for one in (stranger, third)}
        outsider, editor = clients[stranger.user_id], clients[third.user_id]

        def share(person: Api) -> object:
            caller = admission.Caller(person.user_id, 1, shared, writes=True)
            with app.test_request_context():
                return known._share_of(None, caller).writes_to

        for method, address, status in (
            ("PATCH", path, 403),
            ("PATCH", f"/workspaces/{shared}/tasks/{2**53 - 1}", 404),
            ("POST", f"/workspaces/{shared}/tasks", 403),
        ):
            outsider.expect(status, method, address, json={"title": "New"})
            assert share(outsider) == f"account {stranger.user_id}"
        assert share(editor) == f"account {third.user_id}"
        editor.expect(200, "PATCH", path, json={"title": "New"})
        assert share(editor) == shared
        user.expect(204, "DELETE", _member(shared, third))
        editor.problem(403, "forbidden", "PATCH", path, json={"title": "New"})
        assert share(editor) == f"account {third.user_id}"
