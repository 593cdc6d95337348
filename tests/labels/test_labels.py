"""Operations on labels, and their errors."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from support import world
from support.api import Api

from config import Settings

NOBODYS = 9_007_199_254_740_991


def add(api: Api, **values: Any) -> dict[str, Any]:
    return api.expect(201, "POST", "/labels", json={"name": "Urgent"} | values)


def names(api: Api, **query: Any) -> list[str]:
    page = api.expect(200, "GET", "/labels", query_string=query)
    return [found["name"] for found in page["labels"]]


def test_a_new_account_has_no_labels(user: Api) -> None:
    page = user.expect(200, "GET", "/labels")
    assert page == {"labels": [], "total": 0, "next_cursor": None}


def test_a_label_is_created_with_defaults(user: Api) -> None:
    response = user.send("POST", "/labels", json={"name": " Urgent ", "color": "#C62828"})
    created = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/labels/{created['id']}"
    assert response.headers["ETag"] == f'"{created["version"]}"'
    expected = {"user_id": user.user_id, "name": "Urgent", "color": "#c62828", "version": 1}
    assert created == created | expected
    assert user.expect(200, "GET", f"/labels/{created['id']}") == created
    assert add(user, name="Later")["color"] is None


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_keeps_missing_fields(user: Api, method: str) -> None:
    created = add(user, color="#123abc")
    path = f"/labels/{created['id']}"
    changed = user.expect(200, method, path, json={"name": "Now"})
    moved = {name: changed[name] for name in ("version", "updated_at")}
    assert changed == created | {"name": "Now"} | moved
    assert changed["version"] == created["version"] + 1
    assert user.expect(200, method, path, json=changed)["version"] == created["version"] + 2
    assert user.expect(200, method, path, json={"color": None})["color"] is None
    assert user.expect(200, method, path, json={})["version"] == created["version"] + 3


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/name", "required"),
        ({"name": " "}, "/name", "length"),
        ({"name": "a" * 256}, "/name", "length"),
        ({"name": None}, "/name", "null"),
        ({"name": "a", "color": "red"}, "/color", "not_a_color"),
        ({"name": "a", "colour": "#123456"}, "/colour", "unknown_field"),
    ],
)
def test_an_invalid_field_is_reported(user: Api, body: Any, pointer: str, code: str) -> None:
    problem = user.problem(400, "invalid_input", "POST", "/labels", json=body)
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)]
    assert names(user) == []


def test_a_failed_condition_is_reported_before_a_taken_name(user: Api, stranger: Api) -> None:
    add(user)
    stale = {"headers": {"If-Match": '"0"'}, "json": {"name": "Urgent"}}
    path = f"/labels/{user.label()['id']}"
    user.problem(412, "precondition_failed", "PATCH", path, **stale)
    theirs = f"/labels/{stranger.label()['id']}"
    user.problem(403, "forbidden", "PATCH", theirs, json={"name": "Urgent"})


def test_the_database_rejects_a_repeated_name(settings: Settings, user: Api) -> None:
    add(user)
    columns = "workspace_id, user_id, name, name_key, version"
    insert = f"INSERT INTO labels ({columns}) VALUES (%s, 1, 'uRGENT', 'urgent', 1)"
    with pytest.raises(psycopg.errors.UniqueViolation):
        world.sql(settings, insert, user.user_id)


def test_read_only_fields_may_be_sent_back(user: Api) -> None:
    created = add(user)
    sent = created | {"id": 1, "user_id": 1, "version": 99}
    changed = user.expect(200, "PUT", f"/labels/{created['id']}", json=sent)
    assert (changed["id"], changed["user_id"]) == (created["id"], user.user_id)


def test_labels_are_sorted(user: Api) -> None:
    for name in ("b", "A", "c"):
        add(user, name=name)
    assert names(user) == names(user, sort="name") == ["A", "b", "c"]
    assert names(user, sort="-name") == ["c", "b", "A"]
    assert names(user, sort="created_at") == ["b", "A", "c"]
    assert names(user, sort="-created_at") == ["c", "A", "b"]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
def test_pages_contain_all_rows_once(user: Api, sort: str) -> None:
    for name in ("b", "A", "a b", "c", "B a"):
        add(user, name=name)
    whole = names(user, sort=sort)
    found: list[str] = []
    for page in user.pages("/labels", sort=sort, limit=2):
        assert page["total"] == 5
        found += [one["name"] for one in page["labels"]]
    assert found == whole


def test_labels_support_conditional_requests(user: Api) -> None:
    created = add(user)
    path, old = f"/labels/{created['id']}", {"If-Match": f'"{created["version"]}"'}
    current = user.expect(200, "PATCH", path, json={"name": "Now"}, headers=old)
    into = {"json": {"into": user.label()["id"]}}
    for method, to, sent in (
        ("PATCH", path, {"json": {"name": "No"}}),
        ("DELETE", path, {}),
        ("POST", f"{path}/merge", into),
    ):
        problem = user.problem(412, "precondition_failed", method, to, headers=old, **sent)
        assert problem["label"] == current
    tag = user.send("GET", "/labels").headers["ETag"]
    assert user.send("GET", "/labels", headers={"If-None-Match": tag}).status_code == 304
    user.expect(204, "DELETE", path, headers={"If-Match": f'"{current["version"]}"'})


def test_a_label_with_a_key_is_created_once(user: Api) -> None:
    sent = {"json": {"name": "Once"}, "headers": {"Idempotency-Key": "once"}}
    first, second = (user.expect(201, "POST", "/labels", **sent) for _ in range(2))
    assert first == second
    assert names(user) == ["Once"]


def test_other_users_labels_return_403(user: Api, stranger: Api) -> None:
    theirs, mine = add(stranger), add(user)
    path = f"/labels/{theirs['id']}"
    user.problem(403, "forbidden", "GET", path)
    user.problem(403, "forbidden", "PATCH", path, json={"name": "Mine"})
    user.problem(403, "forbidden", "DELETE", path)
    user.problem(403, "forbidden", "POST", f"{path}/merge", json={"into": mine["id"]})
    user.problem(403, "forbidden", "POST", f"{path}/merge", json={"into": theirs["id"]})
    assert stranger.expect(200, "GET", path) == theirs
    user.problem(404, "not_found", "GET", f"/labels/{NOBODYS}")
    nobodys = f"/labels/{NOBODYS}/merge"
    user.problem(404, "not_found", "POST", nobodys, json={"into": mine["id"]})
