"""Labels: operations and errors."""

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


def test_an_account_begins_without_labels(user: Api) -> None:
    page = user.expect(200, "GET", "/labels")
    assert page == {"labels": [], "total": 0, "next_cursor": None}


def test_a_label_is_added_with_what_is_given_and_defaults(user: Api) -> None:
    response = user.send("POST", "/labels", json={"name": " Urgent ", "color": "#C62828"})
    made = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/labels/{made['id']}"
    assert response.headers["ETag"] == f'"{made["version"]}"'
    expected = {"user_id": user.user_id, "name": "Urgent", "color": "#c62828", "version": 1}
    assert made == made | expected
    assert user.expect(200, "GET", f"/labels/{made['id']}") == made
    assert add(user, name="Later")["color"] is None


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_omitted_fields_keep_their_values(user: Api, method: str) -> None:
    made = add(user, color="#123abc")
    path = f"/labels/{made['id']}"
    changed = user.expect(200, method, path, json={"name": "Now"})
    moved = {name: changed[name] for name in ("version", "updated_at")}
    assert changed == made | {"name": "Now"} | moved
    assert changed["version"] == made["version"] + 1
    assert user.expect(200, method, path, json=changed)["version"] == made["version"] + 2
    assert user.expect(200, method, path, json={"color": None})["color"] is None
    assert user.expect(200, method, path, json={})["version"] == made["version"] + 3


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
def test_a_broken_rule_is_named(user: Api, body: Any, pointer: str, code: str) -> None:
    problem = user.problem(400, "invalid_input", "POST", "/labels", json=body)
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)]
    assert names(user) == []


@pytest.mark.parametrize("name", ["Urgent", "URGENT", " urgent\n"])
def test_a_name_is_had_once_ascii_case_aside(user: Api, stranger: Api, name: str) -> None:
    add(stranger)
    add(user)
    other = add(user, name="Later")
    keyed = {"headers": {"Idempotency-Key": "one"}}
    for sent in (
        ("POST", "/labels", {}),
        ("POST", "/labels", keyed),
        ("PUT", f"/labels/{other['id']}", {}),
        ("PATCH", f"/labels/{other['id']}", {}),
    ):
        method, path, headers = sent
        problem = user.problem(409, "label_exists", method, path, json={"name": name}, **headers)
        assert problem["detail"] == f"Another label has the name {name.strip()}."
    assert names(user) == ["Later", "Urgent"]
    assert user.expect(200, "GET", f"/labels/{other['id']}") == other


def test_only_ascii_case_is_set_aside_and_a_labels_own_name_is_no_obstacle(user: Api) -> None:
    made = add(user, name="\xc4rger")
    add(user, name="\xe4rger")
    path = f"/labels/{made['id']}"
    assert user.expect(200, "PATCH", path, json={"name": "\xc4RGER"})["name"] == "\xc4RGER"


def test_a_condition_comes_before_a_name_that_is_taken(user: Api, stranger: Api) -> None:
    add(user)
    stale = {"headers": {"If-Match": '"0"'}, "json": {"name": "Urgent"}}
    path = f"/labels/{user.label()['id']}"
    user.problem(412, "precondition_failed", "PATCH", path, **stale)
    theirs = f"/labels/{stranger.label()['id']}"
    user.problem(403, "forbidden", "PATCH", theirs, json={"name": "Urgent"})


def test_the_database_itself_rejects_a_name_twice(settings: Settings, user: Api) -> None:
    add(user)
    insert = "INSERT INTO labels (workspace_id, user_id, name, version) VALUES (%s, 1, 'uRGENT', 1)"
    with pytest.raises(psycopg.errors.UniqueViolation):
        world.sql(settings, insert, user.user_id)


def test_what_the_service_writes_may_be_sent_back_and_changes_nothing(user: Api) -> None:
    made = add(user)
    sent = made | {"id": 1, "user_id": 1, "version": 99}
    changed = user.expect(200, "PUT", f"/labels/{made['id']}", json=sent)
    assert (changed["id"], changed["user_id"]) == (made["id"], user.user_id)


def test_labels_are_sorted_as_requested(user: Api) -> None:
    for name in ("b", "A", "c"):
        add(user, name=name)
    assert names(user) == names(user, sort="name") == ["A", "b", "c"]
    assert names(user, sort="-name") == ["c", "b", "A"]
    assert names(user, sort="created_at") == ["b", "A", "c"]
    assert names(user, sort="-created_at") == ["c", "A", "b"]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
def test_pages_follow_one_another(user: Api, sort: str) -> None:
    for name in ("b", "A", "a b", "c", "B a"):
        add(user, name=name)
    whole = names(user, sort=sort)
    found: list[str] = []
    for page in user.pages("/labels", sort=sort, limit=2):
        assert page["total"] == 5
        found += [one["name"] for one in page["labels"]]
    assert found == whole


def test_a_condition_holds_for_labels_as_for_tasks(user: Api) -> None:
    made = add(user)
    path, old = f"/labels/{made['id']}", {"If-Match": f'"{made["version"]}"'}
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


def test_a_label_is_added_once_for_a_key(user: Api) -> None:
    sent = {"json": {"name": "Once"}, "headers": {"Idempotency-Key": "once"}}
    first, second = (user.expect(201, "POST", "/labels", **sent) for _ in range(2))
    assert first == second
    assert names(user) == ["Once"]


def test_labels_of_others_are_out_of_reach(user: Api, stranger: Api) -> None:
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
