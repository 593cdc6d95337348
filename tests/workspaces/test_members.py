"""Members of shared workspaces: their roles, and how they leave."""

from __future__ import annotations

from functools import partial

import pytest
from flask import Flask
from support import world
from support.api import Api
from support.contract import Contract

from config import Settings
from taskapi.workspaces.models import ROLES


@pytest.fixture
def third(client, contract: Contract) -> Api:
    return Api(client, contract).registered()


def _roles(person: Api, workspace_id: int) -> dict[int, str]:
    members = person.expect(200, "GET", f"/workspaces/{workspace_id}/members")["members"]
    return {member["user_id"]: member["role"] for member in members}


def test_members_are_listed_and_only_managers_see_email_addresses(
    user: Api, stranger: Api, third: Api
) -> None:
    shared = user.workspace(admin=stranger, viewer=third)
    stranger.expect(200, "PATCH", "/auth/me", json={"name": "Ann"})
    for person, is_manager in ((user, True), (stranger, True), (third, False)):
        members = person.expect(200, "GET", f"/workspaces/{shared}/members")["members"]
        assert [(member["user_id"], member["role"]) for member in members] == [
            (user.user_id, "owner"),
            (stranger.user_id, "admin"),
            (third.user_id, "viewer"),
        ]
        emails = [user.email, stranger.email, third.email] if is_manager else [None] * 3
        assert [member["email"] for member in members] == emails
        assert [member["name"] for member in members] == [None, "Ann", None]


def test_a_role_holds_for_the_next_request_on_every_worker(
    settings: Settings, contract: Contract, user: Api, stranger: Api
) -> None:
    shared = user.workspace(editor=stranger)
    with world.worker(settings) as other_worker:
        elsewhere = world.person(other_worker, contract, like=stranger)
        elsewhere.base = f"/workspaces/{shared}"
        elsewhere.task()
        member = f"/workspaces/{shared}/members/{stranger.user_id}"
        user.expect(200, "PATCH", member, json={"role": "viewer"})
        for client in (elsewhere, stranger.at(shared)):
            client.problem(403, "insufficient_role", "POST", "/tasks", json={"title": "New"})
            client.expect(200, "GET", "/tasks")
        user.expect(200, "PATCH", member, json={"role": "editor"})
        elsewhere.task()
        user.expect(204, "DELETE", member)
        for client in (elsewhere, stranger.at(shared)):
            client.problem(403, "forbidden", "GET", "/tasks")
            client.problem(403, "forbidden", "POST", "/tasks", json={"title": "New"})


def test_tokens_lose_access_with_their_user(user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    token = stranger.with_token("tasks:read", "tasks:write").at(shared)
    token.task()
    user.expect(204, "DELETE", f"/workspaces/{shared}/members/{stranger.user_id}")
    token.problem(403, "forbidden", "GET", "/tasks")
    token.problem(403, "forbidden", "POST", "/tasks", json={"title": "New"})


def test_a_stored_response_is_not_repeated_to_a_former_member(user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    keyed = {"json": {"title": "Once"}, "headers": {"Idempotency-Key": "one"}}
    stranger.at(shared).expect(201, "POST", "/tasks", **keyed)
    stranger.at(shared).expect(201, "POST", "/tasks", **keyed)
    member = f"/workspaces/{shared}/members/{stranger.user_id}"
    user.expect(200, "PATCH", member, json={"role": "viewer"})
    stranger.at(shared).problem(403, "insufficient_role", "POST", "/tasks", **keyed)
    user.expect(204, "DELETE", member)
    stranger.at(shared).problem(403, "forbidden", "POST", "/tasks", **keyed)


@pytest.mark.parametrize("role", ROLES[1:])
def test_who_may_change_roles(user: Api, stranger: Api, third: Api, role: str) -> None:
    shared = user.workspace(**{role: stranger, "viewer0": third})
    path = f"/workspaces/{shared}/members"
    if role == "admin":
        for new in ("admin", "editor"):
            changed = stranger.expect(200, "PATCH", f"{path}/{third.user_id}", json={"role": new})
            assert changed["role"] == new
        stranger.expect(204, "DELETE", f"{path}/{third.user_id}")
        return
    for target in (third, stranger, user):
        body = {"role": "admin"}
        one = f"{path}/{target.user_id}"
        stranger.problem(403, "insufficient_role", "PATCH", one, json=body)
    stranger.problem(403, "insufficient_role", "DELETE", f"{path}/{third.user_id}")
    assert _roles(user, shared)[stranger.user_id] == role


def test_nobody_becomes_owner_by_a_role(user: Api, stranger: Api) -> None:
    shared = user.workspace(admin=stranger)
    path = f"/workspaces/{shared}/members"
    for person in (user, stranger):
        body = {"role": "owner"}
        person.problem(400, "invalid_input", "PATCH", f"{path}/{stranger.user_id}", json=body)
        body = {"email": "somebody@example.com", "role": "owner"}
        person.problem(400, "invalid_input", "POST", f"/workspaces/{shared}/invitations", json=body)


def test_the_owner_is_neither_demoted_nor_removed(user: Api, stranger: Api) -> None:
    shared = user.workspace(admin=stranger)
    owner = f"/workspaces/{shared}/members/{user.user_id}"
    for person in (user, stranger):
        person.problem(403, "insufficient_role", "PATCH", owner, json={"role": "viewer"})
    stranger.problem(403, "insufficient_role", "DELETE", owner)
    user.problem(409, "owner_cannot_leave", "DELETE", owner)
    assert _roles(user, shared)[user.user_id] == "owner"


@pytest.mark.parametrize("role", ROLES[1:])
def test_a_member_can_leave(user: Api, stranger: Api, role: str) -> None:
    shared = user.workspace(**{role: stranger})
    path = f"/workspaces/{shared}/members/{stranger.user_id}"
    stranger.expect(204, "DELETE", path)
    stranger.problem(403, "forbidden", "DELETE", path)
    user.problem(404, "not_found", "DELETE", path)
    assert _roles(user, shared) == {user.user_id: "owner"}


def test_users_that_are_no_members_are_not_found(user: Api, stranger: Api) -> None:
    shared = user.workspace()
    for user_id in (stranger.user_id, 9007199254740991, 0):
        path = f"/workspaces/{shared}/members/{user_id}"
        user.problem(404, "not_found", "PATCH", path, json={"role": "viewer"})
        user.problem(404, "not_found", "DELETE", path)


def test_one_of_two_admins_who_demote_each_other_succeeds(
    app: Flask, settings: Settings, contract: Contract, user: Api, stranger: Api, third: Api
) -> None:
    for _ in range(5):
        shared = user.workspace(admin=stranger, admin2=third)

        def demote(by: Api, other: Api, workspace_id: int) -> int:
            client = world.person(app, contract, like=by)
            path = f"/workspaces/{workspace_id}/members/{other.user_id}"
            return client.send("PATCH", path, json={"role": "viewer"}).status_code

        pairs = ((stranger, third), (third, stranger))
        calls = [partial(demote, by, other, shared) for by, other in pairs]
        assert sorted(world.at_once(calls)) == [200, 403]
        assert sorted(_roles(user, shared).values()) == ["admin", "owner", "viewer"]


def test_a_write_that_waits_does_not_see_the_role_of_before(
    app: Flask, settings: Settings, contract: Contract, user: Api, stranger: Api
) -> None:
    """An admin is demoted while their own change of roles waits."""
    shared = user.workspace(admin=stranger)
    lock = "SELECT FROM workspaces WHERE id = %s FOR NO KEY UPDATE"
    path = f"/workspaces/{shared}"
    with world.holding(settings, lock, shared) as transaction:
        client = world.person(app, contract, like=stranger)
        with world.meanwhile(lambda: client.send("PATCH", path, json={"name": "Mine"})) as renamed:
            world.until_blocked(settings, 1)
            transaction.execute(
                "UPDATE memberships SET role = 'editor' WHERE user_id = %s", [stranger.user_id]
            )
            transaction.commit()
            assert renamed.result().status_code == 403


def test_a_keyed_write_that_waits_while_its_author_is_removed_fails(
    app: Flask, settings: Settings, contract: Contract, user: Api, stranger: Api
) -> None:
    """Its response cannot be stored for somebody who has no access, so nothing is changed."""
    shared = user.workspace(editor=stranger)
    lock = "SELECT FROM workspaces WHERE id = %s FOR NO KEY UPDATE"
    keyed = {"json": {"title": "Late"}, "headers": {"Idempotency-Key": "late"}}
    client = world.person(app, contract, like=stranger).at(shared)
    with (
        world.holding(settings, lock, shared) as transaction,
        world.meanwhile(
            lambda: client.problem(403, "forbidden", "POST", "/tasks", **keyed)
        ) as sent,
    ):
        world.until_blocked(settings, 1)
        transaction.execute("DELETE FROM memberships WHERE user_id = %s", [stranger.user_id])
        transaction.commit()
        sent.result()
    assert user.at(shared).expect(200, "GET", "/tasks")["total"] == 0
