"""Lists: operations, errors, and the inbox."""

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


def test_an_account_begins_with_an_inbox_that_has_its_id(user: Api) -> None:
    (inbox,) = user.expect(200, "GET", "/lists")["lists"]
    assert inbox == inbox | {
        "id": user.user_id,
        "user_id": user.user_id,
        "name": "Inbox",
        "color": None,
        "is_inbox": True,
        "is_archived": False,
    }
    assert user.expect(200, "GET", f"/lists/{user.user_id}") == inbox


def test_accounts_of_the_command_line_have_one_too(app: Flask, anonymous: Api) -> None:
    email = new_email()
    made = app.test_cli_runner().invoke(args=["users", "create", email], input=f"{PASSWORD}\n")
    assert made.exit_code == 0, made.output
    body = {"email": email, "password": PASSWORD}
    anonymous.login = anonymous.expect(200, "POST", "/auth/login", json=body)
    assert names(anonymous) == ["Inbox"]


def test_a_list_is_added_with_what_is_given_and_defaults(user: Api) -> None:
    response = user.send("POST", "/lists", json={"name": " Garden ", "color": "#2E7D32"})
    made = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/lists/{made['id']}"
    assert response.headers["ETag"] == f'"{made["version"]}"'
    assert made == made | {
        "user_id": user.user_id,
        "name": "Garden",
        "color": "#2e7d32",
        "is_inbox": False,
        "is_archived": False,
        "version": 1,
    }
    assert user.expect(200, "GET", f"/lists/{made['id']}") == made
    assert add(user)["color"] is None


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_omitted_fields_keep_their_values(user: Api, method: str) -> None:
    made = add(user, color="#123abc")
    path = f"/lists/{made['id']}"
    changed = user.expect(200, method, path, json={"name": "Yard", "is_archived": True})
    moved = {name: changed[name] for name in ("version", "updated_at")}
    assert changed == made | {"name": "Yard", "is_archived": True} | moved
    assert changed["version"] == made["version"] + 1
    assert user.expect(200, method, path, json=changed)["version"] == made["version"] + 2
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
def test_a_broken_rule_is_named(user: Api, body: Any, pointer: str, code: str) -> None:
    problem = user.problem(400, "invalid_input", "POST", "/lists", json=body)
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)]
    assert names(user) == ["Inbox"]


def test_what_the_service_writes_may_be_sent_back_and_changes_nothing(user: Api) -> None:
    made = add(user)
    sent = made | {"id": 1, "user_id": 1, "is_inbox": True, "version": 99}
    changed = user.expect(200, "PUT", f"/lists/{made['id']}", json=sent)
    assert changed["id"] == made["id"]
    assert (changed["is_inbox"], changed["user_id"]) == (False, user.user_id)


def test_lists_are_sorted_as_requested(user: Api) -> None:
    for name in ("b", "A", "c"):
        add(user, name=name)
    assert names(user) == ["Inbox", "b", "A", "c"]
    assert names(user, sort="created_at") == ["Inbox", "b", "A", "c"]
    assert names(user, sort="name") == ["A", "b", "c", "Inbox"]
    assert names(user, sort="-created_at") == ["c", "A", "b", "Inbox"]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
def test_pages_follow_one_another(user: Api, sort: str) -> None:
    for name in ("b", "A", "a", "c", "B"):
        add(user, name=name)
    whole = names(user, sort=sort)
    found: list[str] = []
    for page in user.pages("/lists", sort=sort, limit=2):
        assert page["total"] == 6
        found += [one["name"] for one in page["lists"]]
    assert found == whole


def test_archived_lists_can_be_omitted(user: Api) -> None:
    made = add(user)
    user.expect(200, "PATCH", f"/lists/{made['id']}", json={"is_archived": True})
    assert names(user) == ["Inbox", "Garden"]
    assert names(user, is_archived="false") == ["Inbox"]
    assert names(user, is_archived="true") == ["Garden"]
    assert user.expect(200, "GET", "/lists?is_archived=true")["total"] == 1


def test_the_inbox_can_be_named_and_neither_archived_nor_deleted(user: Api) -> None:
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


def test_an_empty_list_is_deleted(user: Api) -> None:
    path = f"/lists/{add(user)['id']}"
    user.expect(204, "DELETE", path)
    user.problem(404, "not_found", "GET", path)
    user.problem(404, "not_found", "DELETE", path)
    assert names(user) == ["Inbox"]


def test_a_list_with_tasks_is_deleted_if_tasks_is_specified(user: Api) -> None:
    made = add(user)
    path = f"/lists/{made['id']}"
    inside = [user.task(list_id=made["id"], is_completed=done) for done in (True, False, True)]
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


def test_a_list_can_take_its_tasks_with_it(user: Api) -> None:
    made = add(user)
    for done in (True, False, True):
        user.task(list_id=made["id"], is_completed=done)
    left = user.task(is_completed=True)
    user.expect(204, "DELETE", f"/lists/{made['id']}?tasks=delete")
    assert user.expect(200, "GET", "/tasks")["tasks"] == [left]
    for state, total in (("", 1), ("?is_completed=true", 1), ("?is_completed=false", 0)):
        assert user.expect(200, "GET", f"/tasks{state}")["total"] == total


def test_a_condition_holds_for_lists_as_for_tasks(user: Api) -> None:
    made = add(user)
    path, old = f"/lists/{made['id']}", {"If-Match": f'"{made["version"]}"'}
    current = user.expect(200, "PATCH", path, json={"name": "Yard"}, headers=old)
    for method, sent in (("PATCH", {"json": {"name": "No"}}), ("DELETE", {})):
        problem = user.problem(412, "precondition_failed", method, path, headers=old, **sent)
        assert problem["list"] == current
    tag = user.send("GET", "/lists").headers["ETag"]
    assert user.send("GET", "/lists", headers={"If-None-Match": tag}).status_code == 304
    user.expect(204, "DELETE", path, headers={"If-Match": f'"{current["version"]}"'})


def test_a_list_is_added_once_for_a_key(user: Api) -> None:
    sent = {"json": {"name": "Once"}, "headers": {"Idempotency-Key": "once"}}
    first, second = (user.expect(201, "POST", "/lists", **sent) for _ in range(2))
    assert first == second
    assert names(user) == ["Inbox", "Once"]


def test_lists_of_others_are_out_of_reach(user: Api, stranger: Api) -> None:
    theirs = add(stranger)
    for list_id in (theirs["id"], stranger.user_id):
        path = f"/lists/{list_id}"
        user.problem(403, "forbidden", "GET", path)
        user.problem(403, "forbidden", "PATCH", path, json={"name": "Mine"})
        user.problem(403, "forbidden", "PATCH", path, json={"is_archived": True})
        user.problem(403, "forbidden", "DELETE", f"{path}?tasks=delete")
    assert names(stranger) == ["Inbox", "Garden"]
    user.problem(404, "not_found", "GET", f"/lists/{NOBODYS}")


def test_ids_of_lists_and_accounts_never_meet(user: Api, stranger: Api) -> None:
    ids = [user.user_id, stranger.user_id, add(user)["id"], add(stranger)["id"]]
    assert len(set(ids)) == 4
