"""Shared workspaces: their life, and who may do what."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from support.api import PASSWORD, Api

from taskapi.workspaces.models import ROLES

Newcomer = Callable[[], Api]


def test_a_new_workspace_has_an_owner_and_an_inbox(user: Api) -> None:
    response = user.send("POST", "/workspaces", json={"name": " Family "})
    created = response.get_json()
    assert response.headers["Location"] == f"/workspaces/{created['id']}"
    assert (created["name"], created["owner_id"], created["role"], created["member_count"]) == (
        "Family",
        user.user_id,
        "owner",
        1,
    )
    assert created["quotas"]["lists"] == {"used": 1, "limit": 1_000}
    inside = user.at(created["id"])
    (inbox,) = inside.expect(200, "GET", "/lists")["lists"]
    assert (inbox["id"], inbox["name"], inbox["is_inbox"]) == (created["id"], "Inbox", True)
    assert user.expect(200, "GET", f"/workspaces/{created['id']}") == created
    assert user.expect(200, "GET", "/workspaces") == {"workspaces": [created]}


def test_a_creation_is_performed_once_for_a_key(user: Api) -> None:
    keyed = {"json": {"name": "Once"}, "headers": {"Idempotency-Key": "one"}}
    first = user.expect(201, "POST", "/workspaces", **keyed)
    assert user.expect(201, "POST", "/workspaces", **keyed) == first
    assert len(user.expect(200, "GET", "/workspaces")["workspaces"]) == 1


@pytest.mark.parametrize("name", ["", "  ", "x" * 256, None, 7, "a\0b"])
def test_an_invalid_name_is_refused(user: Api, name: object) -> None:
    user.problem(400, "invalid_input", "POST", "/workspaces", json={"name": name})
    path = f"/workspaces/{user.workspace()}"
    user.problem(400, "invalid_input", "PATCH", path, json={"name": name})


def test_content_of_workspaces_is_separate(user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    ours, mine = user.at(shared).task(title="Ours"), user.task(title="Mine")
    assert (ours["user_id"], ours["list_id"]) == (user.user_id, shared)
    theirs = stranger.at(shared).expect(200, "GET", "/tasks")
    assert (theirs["tasks"], theirs["total"]) == ([ours], 1)
    assert user.expect(200, "GET", "/tasks")["tasks"] == [mine]
    user.problem(403, "forbidden", "GET", f"/tasks/{ours['id']}")
    user.at(shared).problem(403, "forbidden", "GET", f"/tasks/{mine['id']}")
    found = stranger.at(shared).expect(200, "GET", "/search?text=ours")["results"]
    assert [one["task"]["id"] for one in found] == [ours["id"]]


def test_rows_name_who_created_them(user: Api, stranger: Api) -> None:
    inside = stranger.at(user.workspace(editor=stranger))
    for created in (inside.task(), inside.list(), inside.label(), inside.filter()):
        assert created["user_id"] == stranger.user_id


def test_viewers_read_and_do_not_write(user: Api, stranger: Api) -> None:
    shared = user.workspace(viewer=stranger)
    task, label = user.at(shared).recurring(), user.at(shared).label()
    viewer, path = stranger.at(shared), f"/tasks/{task['id']}"
    assert viewer.expect(200, "GET", path) == task
    preview = {"due": task["due"], "rrule": "FREQ=DAILY"}
    viewer.expect(200, "POST", "/recurrence/preview", json=preview)
    writes = [
        ("POST", "/tasks", {"title": "New"}),
        ("PUT", path, {"title": "New"}),
        ("PATCH", path, {"title": "New"}),
        ("PATCH", path, {}),
        ("PATCH", path, {"is_completed": True}),
        ("POST", f"{path}/complete", None),
        ("POST", f"{path}/skip", None),
        ("POST", f"{path}/undo", None),
        ("POST", f"{path}/move", {"parent_id": None}),
        ("PUT", f"{path}/labels/{label['id']}", None),
        ("DELETE", f"{path}/labels/{label['id']}", None),
        ("DELETE", path, None),
        ("POST", "/lists", {"name": "New"}),
        ("POST", "/labels", {"name": "New"}),
        ("DELETE", f"/labels/{label['id']}", None),
        ("POST", "/filters", {"name": "New", "query": "completed"}),
    ]
    for method, target, body in writes:
        problem = viewer.problem(403, "insufficient_role", method, target, json=body)
        assert problem["detail"] == "Your role in this workspace, viewer, does not allow changes."
    keyed = {"json": {"title": "New"}, "headers": {"Idempotency-Key": "viewer"}}
    viewer.problem(403, "insufficient_role", "POST", "/tasks", **keyed)
    assert viewer.expect(200, "GET", path) == task
    assert viewer.expect(200, "GET", "/tasks")["total"] == 1


def test_strangers_get_what_strangers_get(user: Api, stranger: Api) -> None:
    shared = user.workspace()
    task, outside = user.at(shared).task(), stranger.at(shared)
    problem = outside.problem(403, "forbidden", "GET", f"/tasks/{task['id']}")
    assert problem["detail"] == "Not authorized to access this task"
    outside.problem(404, "not_found", "GET", "/tasks/9007199254740991")
    problem = outside.problem(403, "forbidden", "GET", "/tasks")
    assert problem["detail"] == "Not authorized to access this workspace"
    outside.problem(403, "forbidden", "POST", "/tasks", json={"title": "New"})
    for method, path in (("GET", ""), ("GET", "/members"), ("GET", "/invitations")):
        outside.problem(403, "forbidden", method, path)
    outside.problem(403, "forbidden", "PATCH", "", json={"name": "Mine"})
    outside.problem(403, "forbidden", "DELETE", "")
    outside.problem(403, "forbidden", "POST", "/transfer", json={"user_id": stranger.user_id})
    body = {"email": stranger.email, "role": "admin"}
    outside.problem(403, "forbidden", "POST", "/invitations", json=body)
    outside.problem(403, "forbidden", "PATCH", f"/members/{user.user_id}", json={"role": "viewer"})
    outside.problem(403, "forbidden", "DELETE", f"/members/{user.user_id}")


def test_a_personal_workspace_is_not_shared(user: Api, stranger: Api) -> None:
    for person in (user, stranger):
        personal = person.at(user.user_id)
        personal.problem(404, "not_found", "GET", "")
        personal.problem(404, "not_found", "PATCH", "", json={"name": "Mine"})
        personal.problem(404, "not_found", "DELETE", "")
        personal.problem(404, "not_found", "GET", "/members")
        personal.problem(404, "not_found", "GET", "/invitations")
        body = {"email": "somebody@example.com", "role": "viewer"}
        personal.problem(404, "not_found", "POST", "/invitations", json=body)
        personal.problem(404, "not_found", "POST", "/transfer", json={"user_id": user.user_id})
    assert user.expect(200, "GET", "/workspaces") == {"workspaces": []}


@pytest.mark.parametrize("role", ROLES)
def test_who_may_manage_a_workspace(user: Api, stranger: Api, role: str) -> None:
    shared = user.workspace(**({} if role == "owner" else {role: stranger}))
    path, member = f"/workspaces/{shared}", user if role == "owner" else stranger
    body = {"name": "Renamed"}
    if role in ("owner", "admin"):
        assert member.expect(200, "PATCH", path, json=body)["name"] == "Renamed"
        assert member.expect(200, "PATCH", path, json={})["name"] == "Renamed"
    else:
        member.problem(403, "insufficient_role", "PATCH", path, json=body)
        member.problem(403, "insufficient_role", "GET", f"{path}/invitations")
    if role != "owner":
        member.problem(403, "insufficient_role", "DELETE", path)
        taken = {"user_id": member.user_id}
        member.problem(403, "insufficient_role", "POST", f"{path}/transfer", json=taken)


def test_a_deleted_workspace_is_gone_for_all(user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    task = stranger.at(shared).task()
    user.at(shared).list()
    assert user.expect(204, "DELETE", f"/workspaces/{shared}") is None
    for person in (user, stranger):
        person.problem(404, "not_found", "GET", f"/workspaces/{shared}")
        person.at(shared).problem(404, "not_found", "GET", "/tasks")
        person.at(shared).problem(404, "not_found", "GET", f"/tasks/{task['id']}")
        assert person.expect(200, "GET", "/workspaces") == {"workspaces": []}


def test_a_transfer_changes_the_owner(user: Api, stranger: Api) -> None:
    shared = user.workspace(viewer=stranger)
    path, body = f"/workspaces/{shared}/transfer", {"user_id": stranger.user_id}
    transferred = user.expect(200, "POST", path, json=body)
    assert (transferred["owner_id"], transferred["role"]) == (stranger.user_id, "admin")
    assert stranger.expect(200, "GET", f"/workspaces/{shared}")["role"] == "owner"
    user.problem(403, "insufficient_role", "POST", path, json=body)
    same = stranger.expect(200, "POST", path, json=body)
    assert (same["owner_id"], same["role"]) == (stranger.user_id, "owner")


def test_a_workspace_is_transferred_to_members_only(user: Api, stranger: Api) -> None:
    path = f"/workspaces/{user.workspace()}/transfer"
    for user_id in (stranger.user_id, 9007199254740991):
        problem = user.problem(400, "invalid_input", "POST", path, json={"user_id": user_id})
        assert problem["errors"] == [
            {"pointer": "/user_id", "message": "Member not found.", "code": "unknown_reference"}
        ]


def test_the_account_of_an_owner_is_not_deleted(user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    name = user.expect(200, "GET", f"/workspaces/{shared}")["name"]
    body = {"password": PASSWORD}
    problem = user.problem(409, "owns_workspace", "POST", "/auth/delete", json=body)
    assert f"“{name}” (ID {shared})" in problem["detail"]
    user.expect(200, "GET", "/auth/me")
    user.expect(200, "POST", f"/workspaces/{shared}/transfer", json={"user_id": stranger.user_id})
    user.expect(204, "POST", "/auth/delete", json=body)
    members = stranger.expect(200, "GET", f"/workspaces/{shared}/members")["members"]
    assert [member["user_id"] for member in members] == [stranger.user_id]


def test_a_deleted_members_rows_stay(user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    task = stranger.at(shared).task()
    stranger.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    assert user.at(shared).expect(200, "GET", f"/tasks/{task['id']}") == task
    assert user.expect(200, "GET", f"/workspaces/{shared}")["member_count"] == 1


def test_account_operations_below_a_prefix_are_those_of_the_root(user: Api) -> None:
    shared = user.workspace()
    assert user.at(shared).expect(200, "GET", "/auth/me") == user.expect(200, "GET", "/auth/me")
    assert user.at(shared).expect(200, "GET", "/workspaces") == user.expect(
        200, "GET", "/workspaces"
    )
    login = {"email": user.email, "password": PASSWORD}
    assert user.at(shared).expect(200, "POST", "/auth/login", json=login)["user"]


def test_each_workspace_has_its_own_versions(user: Api) -> None:
    first, second = user.at(user.workspace()), user.at(user.workspace())
    assert first.task()["version"] == second.task()["version"] == 1
    tag = first.send("GET", "/tasks").headers["ETag"]
    assert first.send("GET", "/tasks", headers={"If-None-Match": tag}).status_code == 304
    assert second.send("GET", "/tasks", headers={"If-None-Match": tag}).status_code == 200


def test_roles_are_documented(user: Api, app) -> None:
    schema = user.contract.document["components"]["schemas"]["Workspace"]["properties"]["role"]
    assert schema["enum"] == [*ROLES]
    assert re.search("viewer.*editor.*admin.*owner", schema["description"])
