"""Deleting and merging labels, also during concurrent writes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import Api
from support.contract import Contract

from config import Settings

NOBODYS = 9_007_199_254_740_991


@pytest.fixture
def labels(user: Api) -> list[int]:
    """IDs of labels of the user, ascending."""
    return [user.label()["id"] for _ in range(3)]


def test_deleting_a_label_removes_it_from_its_tasks(user: Api, labels: list[int]) -> None:
    marked = [user.task(label_ids=ids) for ids in (labels[:1], labels, labels[:1])]
    others = [user.task(), user.task(label_ids=labels[1:])]
    version = others[-1]["version"]
    user.expect(204, "DELETE", f"/labels/{labels[0]}")
    for task, left in zip(marked, ([], labels[1:], []), strict=True):
        found = user.expect(200, "GET", f"/tasks/{task['id']}")
        changes = {"label_ids": left, "version": version + 1, "updated_at": found["updated_at"]}
        assert found == task | changes
        assert found["updated_at"] > task["updated_at"]
    for task in others:
        assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    user.problem(404, "not_found", "GET", f"/labels/{labels[0]}")
    user.problem(404, "not_found", "DELETE", f"/labels/{labels[0]}")
    assert user.label()["version"] == version + 2


def test_a_merged_label_is_on_each_task_once(user: Api, labels: list[int]) -> None:
    one, into, other = labels
    marked = [user.task(label_ids=ids) for ids in ([one], [one, into], [one, other], labels)]
    others = [user.task(), user.task(label_ids=[into, other])]
    version = others[-1]["version"]
    target = user.expect(200, "GET", f"/labels/{into}")
    response = user.send("POST", f"/labels/{one}/merge", json={"into": into})
    assert (response.status_code, response.get_json()) == (200, target)
    assert response.headers["ETag"] == f'"{target["version"]}"'
    found = [user.expect(200, "GET", f"/tasks/{task['id']}") for task in marked]
    assert [task["label_ids"] for task in found] == [[into], [into], [into, other], [into, other]]
    assert {task["version"] for task in found} == {version + 1}
    for task in others:
        assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    user.problem(404, "not_found", "GET", f"/labels/{one}")
    assert user.expect(200, "GET", "/labels")["total"] == 2


def test_a_label_without_tasks_can_be_merged(user: Api, labels: list[int]) -> None:
    user.expect(200, "POST", f"/labels/{labels[0]}/merge", json={"into": labels[1]})
    assert user.expect(200, "GET", "/labels")["total"] == 2


@pytest.mark.parametrize(
    ("into", "code"),
    [
        ("itself", "same_label"),
        ("nobody's", "unknown_reference"),
        ("a stranger's", "unknown_reference"),
        (None, "null"),
        ("1", "wrong_type"),
        (0, "out_of_range"),
    ],
)
def test_a_label_cannot_be_merged_into_itself_or_an_unknown_label(
    user: Api, stranger: Api, labels: list[int], into: Any, code: str
) -> None:
    ids = {"itself": labels[0], "nobody's": NOBODYS, "a stranger's": stranger.label()["id"]}
    task = user.task(label_ids=labels)
    for headers in ({}, {"Idempotency-Key": "one"}):
        body = {"into": ids.get(into, into)}
        path = f"/labels/{labels[0]}/merge"
        problem = user.problem(400, "invalid_input", "POST", path, json=body, headers=headers)
        assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("/into", code)]
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    assert user.expect(200, "GET", "/labels")["total"] == 3


def test_a_merge_with_a_key_is_performed_once(user: Api, labels: list[int]) -> None:
    task = user.task(label_ids=labels[:1])
    sent = {"json": {"into": labels[1]}, "headers": {"Idempotency-Key": "once"}}
    responses = [user.send("POST", f"/labels/{labels[0]}/merge", **sent) for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 200]
    assert responses[0].get_json() == responses[1].get_json()
    assert responses[0].headers["ETag"] == responses[1].headers["ETag"]
    assert responses[1].headers["Idempotency-Replayed"] == "true"
    found = user.expect(200, "GET", f"/tasks/{task['id']}")
    assert (found["label_ids"], found["version"]) == ([labels[1]], task["version"] + 1)


@pytest.mark.parametrize("is_merged", [False, True], ids=["deleted", "merged"])
def test_deleting_a_label_sees_a_task_that_got_it_concurrently(
    settings: Settings,
    app: Flask,
    contract: Contract,
    user: Api,
    labels: list[int],
    is_merged: bool,
) -> None:
    old, ending = user.task()["id"], world.person(app, contract, user)
    lock = "SELECT 1 FROM workspaces WHERE id = %s FOR NO KEY UPDATE"
    with world.holding(settings, lock, user.user_id) as connection:

        def end() -> int:
            if is_merged:
                path, body = f"/labels/{labels[0]}/merge", {"into": labels[1]}
                return ending.send("POST", path, json=body).status_code
            return ending.send("DELETE", f"/labels/{labels[0]}").status_code

        with world.meanwhile(end) as ended:
            world.until_blocked(settings, 1)
            connection.execute(
                "UPDATE tasks SET label_ids = %s WHERE id = %s", [[labels[0], labels[2]], old]
            )
            connection.execute(
                "INSERT INTO tasks (workspace_id, user_id, label_ids, title, version)"
                " VALUES (%s, 1, %s, 'Late', 2)",
                [user.user_id, labels[:1]],
            )
            connection.execute(
                "UPDATE workspaces SET version = version + 1, task_count = task_count + 1"
                " WHERE id = %s",
                [user.user_id],
            )
            connection.commit()
            assert ended.result(20) == (200 if is_merged else 204)
    found = [task["label_ids"] for task in user.expect(200, "GET", "/tasks")["tasks"]]
    assert found == ([[labels[1]], labels[1:]] if is_merged else [[], [labels[2]]])


def test_deleting_labels_during_concurrent_labelling_leaves_no_reference(
    app: Flask, contract: Contract, user: Api
) -> None:
    into = user.label()["id"]
    for number in range(4):
        label_id = user.label()["id"]

        def add(_: int, label_id: int = label_id) -> int:
            person = world.person(app, contract, user)
            body = {"title": "Busy", "label_ids": [label_id]}
            return person.send("POST", "/tasks", json=body).status_code

        def put(task_id: int, label_id: int = label_id) -> int:
            person = world.person(app, contract, user)
            return person.send("PUT", f"/tasks/{task_id}/labels/{label_id}").status_code

        def end(label_id: int = label_id, is_merged: bool = number % 2 == 0) -> int:
            person = world.person(app, contract, user)
            if is_merged:
                path = f"/labels/{label_id}/merge"
                return person.send("POST", path, json={"into": into}).status_code
            return person.send("DELETE", f"/labels/{label_id}").status_code

        old = [user.task()["id"] for _ in range(10)]
        with ThreadPoolExecutor(8) as pool:
            adding = [pool.submit(add, n) for n in range(10)]
            adding += [pool.submit(put, task_id) for task_id in old[:5]]
            ended = pool.submit(end)
            adding += [pool.submit(put, task_id) for task_id in old[5:]]
            adding += [pool.submit(add, n) for n in range(10)]
            statuses = {each.result() for each in adding}
        assert ended.result() in (200, 204)
        assert statuses <= {200, 201, 400, 404}
        found = user.expect(200, "GET", "/tasks")["tasks"]
        assert label_id not in {one for task in found for one in task["label_ids"]}
