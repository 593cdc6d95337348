"""What a workspace may store, and that its counts are true."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask
from support.api import Api, new_email
from support.contract import Contract
from support.world import at_once, person, sql, worker

from config import Settings

LIMITS = {
    "tasks": 4,
    "lists": 3,
    "labels": 2,
    "filters": 1,
    "occurrences": 2,
    "comments": 2,
    "text_bytes": 100,
}
NEW = {
    "tasks": lambda number: {"title": f"Task {number}"},
    "lists": lambda number: {"name": f"List {number}"},
    "labels": lambda number: {"name": f"Label {number}"},
    "filters": lambda number: {"name": f"Filter {number}", "query": "overdue"},
}


@pytest.fixture(scope="module")
def small(settings: Settings) -> Iterator[Flask]:
    """An application with small quotas."""
    with worker(settings, **{f"quota_{name}": limit for name, limit in LIMITS.items()}) as app:
        yield app


@pytest.fixture
def author(small: Flask, contract: Contract) -> Api:
    api = person(small, contract)
    body = {"email": new_email(), "password": "correct horse battery"}
    api.login = api.expect(201, "POST", "/auth/register", json=body)
    return api


def _used(api: Api) -> dict[str, int]:
    quotas = api.expect(200, "GET", "/auth/me")["quotas"]
    return {name: quota["used"] for name, quota in quotas.items()}


def test_an_account_shows_its_quotas(author: Api) -> None:
    quotas = author.expect(200, "GET", "/auth/me")["quotas"]
    assert {name: quota["limit"] for name, quota in quotas.items()} == LIMITS
    assert _used(author) == dict.fromkeys(LIMITS, 0) | {"lists": 1}


@pytest.mark.parametrize("kind", NEW)
def test_a_row_beyond_a_quota_is_a_409_that_names_it(author: Api, kind: str) -> None:
    used = _used(author)[kind]
    for number in range(used, LIMITS[kind]):
        author.expect(201, "POST", f"/{kind}", json=NEW[kind](number))
    path, body = f"/{kind}", NEW[kind](99)
    problem = author.problem(409, "quota_exceeded", "POST", path, json=body)
    assert f"{LIMITS[kind]} {kind}" in problem["detail"]
    rows = author.expect(200, "GET", path)[kind]
    assert len(rows) == _used(author)[kind] == LIMITS[kind]
    author.expect(204, "DELETE", f"/{kind}/{max(row['id'] for row in rows)}")
    author.expect(201, "POST", path, json=body)


def test_a_quota_holds_when_rows_are_added_at_the_same_time(author: Api) -> None:
    def add() -> int:
        return author.send("POST", "/tasks", json={"title": "a"}).status_code

    assert sorted(at_once([add] * 8)) == [201] * LIMITS["tasks"] + [409] * 4


def test_occurrences_have_a_quota(author: Api) -> None:
    task = author.recurring()
    path = f"/tasks/{task['id']}"
    author.expect(200, "POST", f"{path}/skip")
    before = author.expect(200, "GET", path)
    problem = author.problem(409, "quota_exceeded", "POST", f"{path}/complete")
    assert "2 occurrences" in problem["detail"]
    assert author.expect(200, "GET", path) == before


def test_text_has_a_quota_in_bytes(author: Api) -> None:
    task = author.expect(201, "POST", "/tasks", json={"title": "é" * 20, "description": "x" * 50})
    assert _used(author)["text_bytes"] == 90
    path = f"/tasks/{task['id']}"
    full = ("POST", "/tasks", {"title": "x" * 11}), ("PATCH", path, {"description": "x" * 61})
    for method, address, body in full:
        problem = author.problem(409, "quota_exceeded", method, address, json=body)
        assert "100 text bytes" in problem["detail"]
    author.expect(200, "PATCH", path, json={"description": "x" * 60})
    author.expect(200, "PATCH", path, json={"is_completed": True, "priority": 2})
    assert _used(author)["text_bytes"] == 100
    author.expect(200, "PUT", path, json={"title": "x", "description": None})
    assert _used(author)["text_bytes"] == 1


def test_comments_have_a_quota(author: Api) -> None:
    task = author.task(title="x")
    path = f"/tasks/{task['id']}/comments"
    first, _ = author.comment(task["id"]), author.comment(task["id"])
    before = author.expect(200, "GET", f"/tasks/{task['id']}")
    problem = author.problem(409, "quota_exceeded", "POST", path, json={"text": "x"})
    assert "2 comments" in problem["detail"]
    assert author.expect(200, "GET", f"/tasks/{task['id']}") == before
    author.expect(204, "DELETE", f"{path}/{first['id']}")
    author.comment(task["id"])


def test_the_texts_of_comments_count(author: Api) -> None:
    task = author.task(title="x" * 20)
    path = f"/tasks/{task['id']}/comments"
    problem = author.problem(409, "quota_exceeded", "POST", path, json={"text": "x" * 81})
    assert "100 text bytes" in problem["detail"]
    address = f"{path}/{author.comment(task['id'], 'é' * 30)['id']}"
    assert _used(author)["text_bytes"] == 80
    author.problem(409, "quota_exceeded", "PUT", address, json={"text": "x" * 81})
    author.problem(409, "quota_exceeded", "PATCH", f"/tasks/{task['id']}", json={"title": "é" * 21})
    author.expect(200, "PUT", address, json={"text": "x" * 80})
    assert _used(author)["text_bytes"] == 100
    author.expect(200, "PATCH", address, json={"text": "é"})
    assert _used(author)["text_bytes"] == 22
    author.expect(204, "DELETE", address)
    assert _used(author)["text_bytes"] == 20


def test_a_quota_of_comments_holds_when_they_are_added_at_the_same_time(author: Api) -> None:
    path = f"/tasks/{author.task()['id']}/comments"

    def add() -> int:
        return author.send("POST", path, json={"text": "x"}).status_code

    assert sorted(at_once([add] * 6)) == [201] * LIMITS["comments"] + [409] * 4


def test_a_stale_change_beyond_a_quota_is_a_412(author: Api) -> None:
    task = author.task()
    headers, body = {"If-Match": '"0"'}, {"description": "x" * 200}
    author.expect(412, "PATCH", f"/tasks/{task['id']}", json=body, headers=headers)
    author.expect(409, "PATCH", f"/tasks/{task['id']}", json=body)


def test_what_exceeds_a_lowered_quota_stays_and_can_shrink(
    settings: Settings, author: Api, contract: Contract
) -> None:
    task = author.expect(201, "POST", "/tasks", json={"title": "a", "description": "x" * 50})
    with worker(settings, quota_text_bytes=10) as lowered:
        api = person(lowered, contract, like=author)
        path = f"/tasks/{task['id']}"
        api.expect(200, "PATCH", path, json={"description": "x" * 40})
        api.expect(200, "PATCH", path, json={"priority": 3})
        api.problem(409, "quota_exceeded", "PATCH", path, json={"description": "x" * 41})


def test_what_ends_takes_its_counts_with_it(user: Api, settings: Settings) -> None:
    into = user.expect(201, "POST", "/lists", json={"name": "Gone"})
    kept = user.task(title="Kept")
    parent = user.task(title="Parent", description="With a subtask")
    below = user.task(title="Subtask", description="x" * 500, parent_id=parent["id"])
    for number in range(3):
        user.task(title=f"In a list {number}", description="é" * 100, list_id=into["id"])
    inside = user.recurring(list_id=into["id"])
    undone = user.recurring(parent_id=parent["id"])
    for commented in (kept, parent, below, undone, inside):
        user.comment(commented["id"], "é" * 7)
        user.comment(commented["id"], "x" * 9_000)
    assert _used(user)["occurrences"] == 2
    user.expect(200, "POST", f"/tasks/{undone['id']}/undo")
    assert _used(user) == _counted(settings, user)
    first, second = user.label(), user.label()
    user.expect(200, "POST", f"/labels/{first['id']}/merge", json={"into": second["id"]})
    user.expect(204, "DELETE", f"/labels/{second['id']}")
    user.expect(204, "DELETE", f"/tasks/{parent['id']}")
    user.expect(204, "DELETE", f"/lists/{into['id']}", query_string={"tasks": "delete"})
    assert _used(user) == _counted(settings, user)
    left = {"tasks": 1, "lists": 1, "comments": 2, "text_bytes": 4 + 14 + 9_000}
    assert _used(user) == dict.fromkeys(LIMITS, 0) | left
    user.expect(204, "DELETE", f"/tasks/{kept['id']}")
    assert _used(user) == dict.fromkeys(LIMITS, 0) | {"lists": 1}


def test_a_deleted_recurring_task_takes_its_occurrences_with_it(user: Api) -> None:
    user.expect(204, "DELETE", f"/tasks/{user.recurring()['id']}")
    assert _used(user)["occurrences"] == 0


def test_the_counts_are_true_when_a_commented_task_is_deleted(
    user: Api, settings: Settings
) -> None:
    """The deletion waits for the lock of the workspace, and then sees the newest comments."""
    for _ in range(10):
        path = f"/tasks/{user.task()['id']}"
        requests = [("DELETE", path, {}), *[("POST", f"{path}/comments", {"text": "x" * 50})] * 5]
        calls = [partial(user.send, method, url, json=body) for method, url, body in requests]
        assert {response.status_code for response in at_once(calls)} <= {201, 204, 404}
    assert _used(user) == _counted(settings, user) == dict.fromkeys(LIMITS, 0) | {"lists": 1}


def _counted(settings: Settings, user: Api) -> dict[str, Any]:
    counts = {
        name: f"SELECT count(*) FROM {table} WHERE workspace_id = w.id"
        for name, table in (
            ("tasks", "tasks"),
            ("lists", "lists"),
            ("labels", "labels"),
            ("filters", "saved_filters"),
            ("occurrences", "occurrences"),
            ("comments", "comments"),
        )
    }
    texts = "octet_length(title) + coalesce(octet_length(description), 0)"
    counts["text_bytes"] = (
        f"SELECT coalesce(sum(size), 0) FROM (SELECT workspace_id, {texts} FROM tasks"
        " UNION ALL SELECT workspace_id, octet_length(text) FROM comments)"
        " AS texts (workspace_id, size) WHERE workspace_id = w.id"
    )
    columns = ", ".join(f"({query})" for query in counts.values())
    ((*values,),) = sql(settings, f"SELECT {columns} FROM workspaces w WHERE id = %s", user.user_id)
    return dict(zip(counts, values, strict=True))
