"""Operations on lists, their errors, and the inbox."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support.api import PASSWORD, Api, new_email

NOBODYS = 9_007_199_254_740_991


def add(api: Api, **values: Any) -> dict[str, Any]:
    return api.expect(201, "POST", "/lists", json={"name": "Garden"} | values)


def names(api: Api, **query: Any) -> list[str]:
    page = api.expect(200, "GET", "/lists", query_string=query)
    return [found["name"] for found in page["lists"]]


def test_a_new_account_has_an_inbox_with_its_id(user: Api) -> None:
    (inbox,) = user.expect(200, "GET", "/lists")["lists"]
    assert inbox == inbox | {
        "id": user.user_id,
        "user_id": user.user_id,
        "name": "Inbox",
        "color": None,
        "is_inbox": True,
        "is_archived": False,
    }
    counts = {"open_count": 0, "completed_count": 0}
    assert user.expect(200, "GET", f"/lists/{user.user_id}") | counts == inbox


def test_an_account_created_on_the_command_line_has_an_inbox(app: Flask, anonymous: Api) -> None:
    email = new_email()
    created = app.test_cli_runner().invoke(args=["users", "create", email], input=f"{PASSWORD}\n")
    assert created.exit_code == 0, created.output
    body = {"email": email, "password": PASSWORD}
    anonymous.login = anonymous.expect(200, "POST", "/auth/login", json=body)
    assert names(anonymous) == ["Inbox"]


def test_a_list_is_created_with_defaults(user: Api) -> None:
    response = user.send("POST", "/lists", json={"name": " Garden ", "color": "#2E7D32"})
    created = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/lists/{created['id']}"
    assert response.headers["ETag"] == f'"{created["version"]}"'
    assert created == created | {
        "user_id": user.user_id,
        "name": "Garden",
        "color": "#2e7d32",
        "is_inbox": False,
        "is_archived": False,
        "version": 1,
    }
    assert user.expect(200, "GET", f"/lists/{created['id']}") == created
    assert add(user, name="Yard")["color"] is None


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_keeps_missing_fields(user: Api, method: str) -> None:
    created = add(user, color="#123abc")
    path = f"/lists/{created['id']}"
    changed = user.expect(200, method, path, json={"name": "Yard", "is_archived": True})
    moved = {name: changed[name] for name in ("version", "updated_at")}
    assert changed == created | {"name": "Yard", "is_archived": True} | moved
    assert changed["version"] == created["version"] + 1
    assert user.expect(200, method, path, json=changed)["version"] == created["version"] + 2
    assert user.expect(200, method, path, json={"color": None})["color"] is None


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/name", "required"),
        ({"name": " "}, "/name", "length"),
        ({"name": "a" * 256}, "/name", "length"),
        ({"name": None}, "/name", "null"),
        ({"name": "a", "color": "red"}, "/color", "not_a_color"),
        ({"name": "a", "color": "#12345"}, "/color", "not_a_color"),
        ({"name": "a", "color": "#12345g"}, "/color", "not_a_color"),
        ({"name": "a", "color": "#123456\n"}, "/color", "not_a_color"),
        ({"name": "a", "color": 1}, "/color", "not_a_color"),
        ({"name": "a", "is_archived": 1}, "/is_archived", "not_a_boolean"),
        ({"name": "a", "colour": "#123456"}, "/colour", "unknown_field"),
    ],
)
def test_an_invalid_field_is_reported(user: Api, body: Any, pointer: str, code: str) -> None:
    problem = user.problem(400, "invalid_input", "POST", "/lists", json=body)
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)]
    assert names(user) == ["Inbox"]


def test_read_only_fields_may_be_sent_back(user: Api) -> None:
    created = add(user)
    sent = created | {"id": 1, "user_id": 1, "is_inbox": True, "version": 99}
    changed = user.expect(200, "PUT", f"/lists/{created['id']}", json=sent)
    assert changed["id"] == created["id"]
    assert (changed["is_inbox"], changed["user_id"]) == (False, user.user_id)


def test_lists_are_sorted(user: Api) -> None:
    for name in ("b", "A", "c"):
        add(user, name=name)
    assert names(user) == ["Inbox", "b", "A", "c"]
    assert names(user, sort="created_at") == ["Inbox", "b", "A", "c"]
    assert names(user, sort="name") == ["A", "b", "c", "Inbox"]
    assert names(user, sort="-created_at") == ["c", "A", "b", "Inbox"]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
def test_pages_contain_all_rows_once(user: Api, sort: str) -> None:
    for name in ("b", "A", "a b", "c", "B a"):
        add(user, name=name)
    whole = names(user, sort=sort)
    found: list[str] = []
    for page in user.pages("/lists", sort=sort, limit=2):
        assert page["total"] == 6
        found += [one["name"] for one in page["lists"]]
    assert found == whole


def test_archived_lists_can_be_left_out(user: Api) -> None:
    created = add(user)
    user.expect(200, "PATCH", f"/lists/{created['id']}", json={"is_archived": True})
    assert names(user) == ["Inbox", "Garden"]
    assert names(user, is_archived="false") == ["Inbox"]
    assert names(user, is_archived="true") == ["Garden"]
    assert user.expect(200, "GET", "/lists?is_archived=true")["total"] == 1


def test_the_inbox_can_be_renamed_but_not_archived_or_deleted(user: Api) -> None:
    path = f"/lists/{user.user_id}"
    changed = user.expect(200, "PATCH", path, json={"name": "Eingang", "color": "#000000"})
    assert (changed["name"], changed["is_inbox"]) == ("Eingang", True)
    user.problem(409, "inbox_stays", "PATCH", path, json={"is_archived": True})
    for query in ("", "?tasks=move", "?tasks=delete"):
        user.problem(409, "inbox_stays", "DELETE", path + query)
    stale = {"If-Match": '"0"'}
    user.problem(412, "precondition_failed", "DELETE", path, headers=stale)
    user.problem(
        412, "precondition_failed", "PATCH", path, headers=stale, json={"is_archived": True}
    )
    assert user.expect(200, "GET", path) == changed


def test_an_empty_list_can_be_deleted(user: Api) -> None:
    path = f"/lists/{add(user)['id']}"
    user.expect(204, "DELETE", path)
    user.problem(404, "not_found", "GET", path)
    user.problem(404, "not_found", "DELETE", path)
    assert names(user) == ["Inbox"]


def test_a_list_with_tasks_requires_the_parameter_tasks(user: Api) -> None:
    created = add(user)
    path = f"/lists/{created['id']}"
    inside = [user.task(list_id=created["id"], is_completed=done) for done in (True, False, True)]
    outside = user.task()
    problem = user.problem(409, "list_not_empty", "DELETE", path)
    assert "tasks=move" in problem["detail"]
    user.problem(400, "invalid_input", "DELETE", f"{path}?tasks=burn")
    assert user.expect(200, "GET", "/tasks")["total"] == 4
    user.expect(204, "DELETE", f"{path}?tasks=move")
    for task in inside:
        moved = user.expect(200, "GET", f"/tasks/{task['id']}")
        changes = {name: moved[name] for name in ("version", "updated_at")}
        assert moved == task | {"list_id": user.user_id} | changes
        assert moved["version"] > outside["version"]
    assert user.expect(200, "GET", f"/tasks/{outside['id']}") == outside


def test_a_list_can_be_deleted_with_its_tasks(user: Api) -> None:
    created = add(user)
    for done in (True, False, True):
        user.task(list_id=created["id"], is_completed=done)
    left = user.task(is_completed=True)
    user.expect(204, "DELETE", f"/lists/{created['id']}?tasks=delete")
    assert user.expect(200, "GET", "/tasks")["tasks"] == [left]
    for state, total in (("", 1), ("?is_completed=true", 1), ("?is_completed=false", 0)):
        assert user.expect(200, "GET", f"/tasks{state}")["total"] == total


def test_lists_support_conditional_requests(user: Api) -> None:
    created = add(user)
    path, old = f"/lists/{created['id']}", {"If-Match": f'"{created["version"]}"'}
    current = user.expect(200, "PATCH", path, json={"name": "Yard"}, headers=old)
    for method, sent in (("PATCH", {"json": {"name": "No"}}), ("DELETE", {})):
        problem = user.problem(412, "precondition_failed", method, path, headers=old, **sent)
        assert problem["list"] == current
    tag = user.send("GET", "/lists").headers["ETag"]
    assert user.send("GET", "/lists", headers={"If-None-Match": tag}).status_code == 304
    user.expect(204, "DELETE", path, headers={"If-Match": f'"{current["version"]}"'})


def test_a_list_with_a_key_is_created_once(user: Api) -> None:
    sent = {"json": {"name": "Once"}, "headers": {"Idempotency-Key": "once"}}
    first, second = (user.expect(201, "POST", "/lists", **sent) for _ in range(2))
    assert first == second
    assert names(user) == ["Inbox", "Once"]


def test_other_users_lists_return_403(user: Api, stranger: Api) -> None:
    theirs = add(stranger)
    for list_id in (theirs["id"], stranger.user_id):
        path = f"/lists/{list_id}"
        user.problem(403, "forbidden", "GET", path)
        user.problem(403, "forbidden", "PATCH", path, json={"name": "Mine"})
        user.problem(403, "forbidden", "PATCH", path, json={"is_archived": True})
        user.problem(403, "forbidden", "DELETE", f"{path}?tasks=delete")
    assert names(stranger) == ["Inbox", "Garden"]
    user.problem(404, "not_found", "GET", f"/lists/{NOBODYS}")


def test_no_list_has_the_id_of_another_account(user: Api, stranger: Api) -> None:
    ids = [user.user_id, stranger.user_id, add(user)["id"], add(stranger)["id"]]
    assert len(set(ids)) == 4
