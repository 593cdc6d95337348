"""Invitations to shared workspaces, and attacks on them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import Api, new_email
from support.contract import Contract
from support.mails import Mails

from config import Settings


@pytest.fixture
def third(client, contract: Contract) -> Api:
    return Api(client, contract).registered()


def _invite(person: Api, workspace_id: int, email: str, role: str = "editor") -> dict[str, Any]:
    body = {"email": email, "role": role}
    path = f"/workspaces/{workspace_id}/invitations"
    return dict(person.expect(201, "POST", path, json=body))


def _verify(person: Api, settings: Settings) -> None:
    world.sql(settings, "UPDATE users SET email_verified = true WHERE id = %s", person.user_id)


def _refused(person: Api, token: str) -> None:
    for verb in ("accept", "decline"):
        person.problem(
            400, "invitation_invalid", "POST", f"/invitations/{verb}", json={"token": token}
        )


def test_an_invitation_is_shown_without_its_token_and_accepted_with_it(
    user: Api, stranger: Api
) -> None:
    shared = user.workspace()
    sent = _invite(user, shared, f" {stranger.email.upper()} ")
    token = sent.pop("token")
    assert (sent["email"], sent["role"]) == (stranger.email, "editor")
    assert sent["invited_by"] == user.user_id
    path = f"/workspaces/{shared}/invitations"
    assert user.expect(200, "GET", path) == {"invitations": [sent]}
    accepted = stranger.expect(200, "POST", "/invitations/accept", json={"token": token})
    assert (accepted["id"], accepted["role"], accepted["member_count"]) == (shared, "editor", 2)
    assert user.expect(200, "GET", path) == {"invitations": []}
    stranger.at(shared).task()


def test_the_token_is_mailed(user: Api, mails: Mails) -> None:
    email, shared = new_email(), user.workspace()
    user.expect(200, "PATCH", "/auth/me", json={"name": "Ada"})
    name = user.expect(200, "GET", f"/workspaces/{shared}")["name"]
    token = _invite(user, shared, email)["token"]
    (message,) = mails.to(email)
    assert f"Ada invites you to the workspace {name}, with the role editor." in message
    assert token in message


def test_the_queue_does_not_contain_the_token(user: Api, settings: Settings) -> None:
    token = _invite(user, user.workspace(), new_email())["token"]
    jobs = world.sql(settings, "SELECT args::text FROM procrastinate_jobs")
    assert jobs
    assert all(token not in arguments for (arguments,) in jobs)


def test_verified_emails_list_and_answer_their_invitations(
    user: Api, stranger: Api, settings: Settings
) -> None:
    first, second = user.workspace(), user.workspace()
    sent = [_invite(user, shared, stranger.email) for shared in (first, second)]
    paths = [f"/invitations/{one['id']}" for one in sent]
    assert stranger.expect(200, "GET", "/invitations") == {"invitations": []}
    for path in paths:
        stranger.problem(404, "not_found", "POST", f"{path}/accept")
    _verify(stranger, settings)
    _verify(user, settings)
    mine = stranger.expect(200, "GET", "/invitations")["invitations"]
    assert [one["workspace_id"] for one in mine] == [first, second]
    assert "token" not in mine[0]
    for path in paths:
        user.problem(404, "not_found", "POST", f"{path}/accept")
        user.problem(404, "not_found", "POST", f"{path}/decline")
    stranger.expect(200, "POST", f"{paths[0]}/accept")
    stranger.expect(204, "POST", f"{paths[1]}/decline")
    assert stranger.expect(200, "GET", "/invitations") == {"invitations": []}
    workspaces = stranger.expect(200, "GET", "/workspaces")["workspaces"]
    assert [workspace["id"] for workspace in workspaces] == [first]


def test_an_invitation_is_used_once(user: Api, stranger: Api) -> None:
    shared = user.workspace()
    token = _invite(user, shared, stranger.email)["token"]
    stranger.expect(200, "POST", "/invitations/accept", json={"token": token})
    _refused(stranger, token)
    stranger.expect(204, "DELETE", f"/workspaces/{shared}/members/{stranger.user_id}")
    _refused(stranger, token)


def test_an_invitation_is_for_its_email(user: Api, stranger: Api, third: Api) -> None:
    token = _invite(user, user.workspace(), stranger.email)["token"]
    for person in (third, user):
        for verb in ("accept", "decline"):
            path = f"/invitations/{verb}"
            problem = person.problem(403, "forbidden", "POST", path, json={"token": token})
            assert stranger.email not in problem["detail"]
    stranger.expect(200, "POST", "/invitations/accept", json={"token": token})


def test_a_revoked_replaced_or_expired_invitation_is_void(
    user: Api, stranger: Api, settings: Settings
) -> None:
    shared = user.workspace()
    first = _invite(user, shared, stranger.email)
    second = _invite(user, shared, stranger.email, "viewer")
    _refused(stranger, first["token"])
    path = f"/workspaces/{shared}/invitations"
    assert len(user.expect(200, "GET", path)["invitations"]) == 1
    user.expect(204, "DELETE", f"{path}/{second['id']}")
    user.problem(404, "not_found", "DELETE", f"{path}/{second['id']}")
    _refused(stranger, second["token"])
    third = _invite(user, shared, stranger.email)
    world.sql(settings, "UPDATE invitations SET expires_at = now() WHERE id = %s", third["id"])
    _refused(stranger, third["token"])
    assert user.expect(200, "GET", path) == {"invitations": []}


def test_an_invitation_to_a_deleted_workspace_is_void(user: Api, stranger: Api) -> None:
    shared = user.workspace()
    token = _invite(user, shared, stranger.email)["token"]
    user.expect(204, "DELETE", f"/workspaces/{shared}")
    _refused(stranger, token)


@pytest.mark.parametrize("token", ["", "x", "te_", "te_" + "A" * 43, "a\0b", None, 7])
def test_an_unknown_token_is_refused(user: Api, token: object) -> None:
    response = user.send("POST", "/invitations/accept", json={"token": token})
    assert response.status_code == 400


def test_one_of_several_concurrent_acceptances_adds_the_member(
    app: Flask, contract: Contract, user: Api, stranger: Api
) -> None:
    shared = user.workspace()
    token = _invite(user, shared, stranger.email)["token"]

    def accept() -> int:
        client = world.person(app, contract, like=stranger)
        return client.send("POST", "/invitations/accept", json={"token": token}).status_code

    statuses = world.at_once([accept] * 8)
    assert sorted(set(statuses)) == [200, 400]
    assert statuses.count(200) == 1
    assert user.expect(200, "GET", f"/workspaces/{shared}")["member_count"] == 2


def test_an_invitation_that_is_used_meanwhile_is_not_declined(
    app: Flask, settings: Settings, contract: Contract, user: Api, stranger: Api
) -> None:
    shared = user.workspace()
    token = {"token": _invite(user, shared, stranger.email)["token"]}
    client = world.person(app, contract, like=stranger)
    decline = ("POST", "/invitations/decline")
    used = "DELETE FROM invitations WHERE workspace_id = %s"
    with (
        world.holding(settings, used, shared) as transaction,
        world.meanwhile(
            lambda: client.problem(400, "invitation_invalid", *decline, json=token)
        ) as declined,
    ):
        world.until_blocked(settings, 1)
        transaction.commit()
        declined.result()


def test_a_member_is_not_invited_and_keeps_the_role(user: Api, stranger: Api) -> None:
    shared = user.workspace()
    first, second = (_invite(user, shared, stranger.email, role) for role in ("viewer", "admin"))
    _refused(stranger, first["token"])
    stranger.expect(200, "POST", "/invitations/accept", json={"token": second["token"]})
    body = {"email": stranger.email, "role": "viewer"}
    path = f"/workspaces/{shared}/invitations"
    user.problem(409, "already_member", "POST", path, json=body)
    assert stranger.expect(200, "GET", f"/workspaces/{shared}")["role"] == "admin"


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_managers_invite(user: Api, stranger: Api, role: str) -> None:
    shared = user.workspace(**{role: stranger})
    path = f"/workspaces/{shared}/invitations"
    body = {"email": new_email(), "role": "viewer"}
    sent = _invite(user, shared, new_email())
    stranger.problem(403, "insufficient_role", "POST", path, json=body)
    stranger.problem(403, "insufficient_role", "GET", path)
    stranger.problem(403, "insufficient_role", "DELETE", f"{path}/{sent['id']}")


def test_an_invitation_of_another_workspace_is_not_revoked(user: Api, stranger: Api) -> None:
    theirs = _invite(stranger, stranger.workspace(), new_email())
    path = f"/workspaces/{user.workspace()}/invitations/{theirs['id']}"
    user.problem(404, "not_found", "DELETE", path)


def test_invitations_and_members_are_limited(
    settings: Settings, contract: Contract, user: Api, stranger: Api
) -> None:
    quotas = {"quota_invitations": 1, "quota_members": 1, "quota_workspaces": 1}
    with world.worker(settings, **quotas) as app:
        owner = world.person(app, contract, like=user)
        shared = owner.workspace()
        owner.problem(409, "quota_exceeded", "POST", "/workspaces", json={"name": "Second"})
        token = _invite(owner, shared, stranger.email)["token"]
        _invite(owner, shared, stranger.email)
        body = {"email": new_email(), "role": "viewer"}
        path = f"/workspaces/{shared}/invitations"
        owner.problem(409, "quota_exceeded", "POST", path, json=body)
        token = _invite(owner, shared, stranger.email)["token"]
        guest = world.person(app, contract, like=stranger)
        accepting = partial(guest.problem, 409, "quota_exceeded", "POST", "/invitations/accept")
        accepting(json={"token": token})


def test_a_day_has_a_number_of_invitations(
    settings: Settings, contract: Contract, user: Api
) -> None:
    with world.worker(settings, ratelimit_enabled=True) as app:
        owner = world.person(app, contract, like=user)
        path = f"/workspaces/{owner.workspace()}/invitations"
        body = {"email": new_email(), "role": "viewer"}
        for _ in range(100):
            owner.expect(201, "POST", path, json=body)
        response = owner.send("POST", path, json=body)
        assert response.status_code == 429
        assert int(response.headers["Retry-After"]) > 80_000


def test_an_invitation_is_performed_once_for_a_key(user: Api) -> None:
    path = f"/workspaces/{user.workspace()}/invitations"
    body = {"email": new_email(), "role": "viewer"}
    keyed = {"json": body, "headers": {"Idempotency-Key": "one"}}
    first = user.expect(201, "POST", path, **keyed)
    assert user.expect(201, "POST", path, **keyed) == first
