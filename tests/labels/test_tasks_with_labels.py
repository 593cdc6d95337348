"""Labels of tasks: set together or one at a time, never those of another user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from support import world
from support.api import PASSWORD, Api
from support.contract import Contract

from config import Settings

NOBODYS = 9_007_199_254_740_991
MOST = 100


@pytest.fixture
def labels(user: Api) -> list[int]:
    """IDs of labels of the user, ascending."""
    return [user.label()["id"] for _ in range(3)]


def moved(task: dict[str, Any]) -> dict[str, Any]:
    return {name: task[name] for name in ("version", "updated_at")}


def test_a_task_has_no_labels_by_default(user: Api, labels: list[int]) -> None:
    assert user.task()["label_ids"] == []
    assert user.task(label_ids=[])["label_ids"] == []
    task = user.task(label_ids=labels[::-1])
    assert task["label_ids"] == labels
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    assert user.expect(200, "GET", "/tasks")["tasks"][0] == task


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_label_ids_replace_all_labels(user: Api, labels: list[int], method: str) -> None:
    task = user.task()
    path = f"/tasks/{task['id']}"
    for label_ids in (labels[1:], labels[:1], [], labels):
        changed = user.expect(200, method, path, json={"label_ids": label_ids})
        assert changed == task | {"label_ids": label_ids} | moved(changed)
        assert changed["version"] == task["version"] + 1
        task = changed
    assert user.expect(200, method, path, json={"title": "Weed"})["label_ids"] == labels
    assert user.expect(200, method, path, json=task)["label_ids"] == labels


@pytest.mark.parametrize(
    ("value", "pointer", "code"),
    [
        (1, "/label_ids", "not_a_list"),
        ("1", "/label_ids", "not_a_list"),
        ({"1": 1}, "/label_ids", "not_a_list"),
        ([1, 1], "/label_ids", "repeated"),
        (list(range(1, MOST + 2)), "/label_ids", "too_many"),
        ([1, "2"], "/label_ids/1", "wrong_type"),
        ([0], "/label_ids/0", "out_of_range"),
        ([None], "/label_ids/0", "null"),
        ([True], "/label_ids/0", "out_of_range"),
        ([[1]], "/label_ids/0", "out_of_range"),
        ([2**53], "/label_ids/0", "out_of_range"),
    ],
)
def test_an_invalid_array_of_ids_returns_400(
    user: Api, value: Any, pointer: str, code: str
) -> None:
    for method, path in (("POST", "/tasks"), ("PATCH", f"/tasks/{user.task()['id']}")):
        body = {"title": "a", "label_ids": value}
        problem = user.problem(400, "invalid_input", method, path, json=body)
        assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)]


KINDS: dict[str, Callable[[Api, Api], int]] = {
    "nobody's": lambda user, stranger: NOBODYS,
    "a stranger's": lambda user, stranger: stranger.label()["id"],
    "a deleted one": lambda user, stranger: _deleted(user),
}


def _deleted(api: Api) -> int:
    label_id = int(api.label()["id"])
    api.expect(204, "DELETE", f"/labels/{label_id}")
    return label_id


@pytest.mark.parametrize("kind", KINDS)
def test_another_users_label_is_an_unknown_reference(
    user: Api, stranger: Api, labels: list[int], kind: str
) -> None:
    label_ids = [labels[0], KINDS[kind](user, stranger)]
    task = user.task(label_ids=labels)
    before = user.expect(200, "GET", "/tasks")
    body = {"title": "a", "label_ids": label_ids}
    for method, path, headers in (
        ("POST", "/tasks", {}),
        ("POST", "/tasks", {"Idempotency-Key": "one"}),
        ("PUT", f"/tasks/{task['id']}", {}),
    ):
        problem = user.problem(400, "invalid_input", method, path, json=body, headers=headers)
        assert problem["errors"] == [
            {
                "pointer": "/label_ids",
                "message": f"Label {label_ids[1]} not found.",
                "code": "unknown_reference",
            }
        ]
    assert user.expect(200, "GET", "/tasks") == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_another_users_label_in_the_path_returns_403(
    user: Api, stranger: Api, kind: str, method: str
) -> None:
    task, label_id = user.task(), KINDS[kind](user, stranger)
    status, code = (403, "forbidden") if kind == "a stranger's" else (404, "not_found")
    path = f"/tasks/{task['id']}/labels/{label_id}"
    problem = user.problem(status, code, method, path)
    assert "label" in problem["detail"].lower()
    stale = {"If-Match": '"0"'}
    user.problem(412, "precondition_failed", method, path, headers=stale)
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_another_users_task_cannot_be_labelled(
    user: Api, stranger: Api, labels: list[int], method: str
) -> None:
    theirs = stranger.label()["id"]
    task = stranger.task(label_ids=[theirs])
    for label_id in (labels[0], theirs, NOBODYS):
        path = f"/tasks/{task['id']}/labels/{label_id}"
        problem = user.problem(403, "forbidden", method, path)
        assert problem["detail"] == "Not authorized to update this task"
        nobodys = f"/tasks/{NOBODYS}/labels/{label_id}"
        assert user.problem(404, "not_found", method, nobodys)["detail"] == "Task not found"
    user.problem(403, "forbidden", "PATCH", f"/tasks/{task['id']}", json={"label_ids": labels})
    assert stranger.expect(200, "GET", f"/tasks/{task['id']}") == task


def test_a_label_is_added_and_removed(user: Api, labels: list[int]) -> None:
    task = user.task()
    path, has = f"/tasks/{task['id']}", []
    for method, label_id, label_ids in (
        ("PUT", labels[1], [labels[1]]),
        ("PUT", labels[0], labels[:2]),
        ("DELETE", labels[1], labels[:1]),
        ("DELETE", labels[0], has),
    ):
        response = user.send(method, f"{path}/labels/{label_id}")
        changed = response.get_json()
        assert response.status_code == 200
        assert response.headers["ETag"] == f'"{changed["version"]}"'
        assert changed == task | {"label_ids": label_ids} | moved(changed)
        assert changed["version"] == task["version"] + 1
        assert changed["updated_at"] > task["updated_at"]
        list_tag = user.send("GET", "/tasks").headers["ETag"]
        # The second request changes nothing.
        assert user.expect(200, method, f"{path}/labels/{label_id}") == changed
        assert user.send("GET", "/tasks").headers["ETag"] == list_tag
        assert user.expect(200, "GET", path) == changed
        task = changed


def test_adding_a_label_checks_the_condition(user: Api, labels: list[int]) -> None:
    task = user.task(label_ids=labels[:1])
    path, old = f"/tasks/{task['id']}", {"If-Match": f'"{task["version"]}"'}
    for method, label_id in (("PUT", labels[0]), ("DELETE", labels[2])):
        assert user.expect(200, method, f"{path}/labels/{label_id}", headers=old) == task
    current = user.expect(200, "PUT", f"{path}/labels/{labels[1]}", headers=old)
    for method in ("PUT", "DELETE"):
        sent = {"headers": old}
        problem = user.problem(
            412, "precondition_failed", method, f"{path}/labels/{labels[1]}", **sent
        )
        assert problem["task"] == current


def test_a_task_has_at_most_a_hundred_labels(settings: Settings, user: Api) -> None:
    world.sql(
        settings,
        "INSERT INTO labels (workspace_id, user_id, name, name_key, version)"
        " SELECT %s, 1, 'Label ' || n, 'label ' || n, 1"
        " FROM generate_series(1, 101) n",
        user.user_id,
    )
    page = user.expect(200, "GET", "/labels?sort=created_at")
    *label_ids, last = [label["id"] for label in page["labels"]]
    task = user.task(label_ids=label_ids)
    assert task["label_ids"] == label_ids
    path = f"/tasks/{task['id']}"
    user.problem(409, "too_many_labels", "PUT", f"{path}/labels/{last}")
    assert user.expect(200, "PUT", f"{path}/labels/{label_ids[0]}") == task
    assert user.expect(200, "GET", path) == task
    user.expect(200, "DELETE", f"{path}/labels/{label_ids[0]}")
    assert last in user.expect(200, "PUT", f"{path}/labels/{last}")["label_ids"]


def test_the_database_rejects_a_label_of_another_workspace(
    settings: Settings, user: Api, stranger: Api, labels: list[int]
) -> None:
    theirs = stranger.label()["id"]
    task = user.task(label_ids=labels)
    for label_ids in ([theirs], [labels[0], NOBODYS], [None], [labels[0], None]):
        with pytest.raises(psycopg.errors.ForeignKeyViolation) as refused:
            world.sql(
                settings, "UPDATE tasks SET label_ids = %s WHERE id = %s", label_ids, task["id"]
            )
        assert refused.value.diag.constraint_name == "fk_tasks_labels"
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        world.sql(
            settings,
            "UPDATE tasks SET workspace_id = %s WHERE id = %s",
            stranger.user_id,
            task["id"],
        )


def test_the_database_rejects_deleting_a_used_label(
    settings: Settings, user: Api, labels: list[int]
) -> None:
    user.task(label_ids=labels[:1])
    for statement in (
        "DELETE FROM labels WHERE id = %s",
        "UPDATE labels SET id = id + 1000000 WHERE id = %s",
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation) as refused:
            world.sql(settings, statement, labels[0])
        assert refused.value.diag.constraint_name == "fk_tasks_labels"
    world.sql(settings, "DELETE FROM labels WHERE id = %s", labels[1])


def test_the_database_sorts_labels_and_removes_duplicates(
    settings: Settings, user: Api, labels: list[int]
) -> None:
    task = user.task()["id"]
    update = "UPDATE tasks SET label_ids = %s WHERE id = %s RETURNING label_ids"
    assert world.sql(settings, update, labels[::-1] * 2, task) == [(labels,)]
    assert world.sql(settings, update, [], task) == [(None,)]


def test_labelling_waits_for_a_concurrent_deletion_of_the_label(
    settings: Settings, user: Api, labels: list[int]
) -> None:
    """By a writer that does not lock the workspace, unlike the service."""
    task, update = user.task()["id"], "UPDATE tasks SET label_ids = %s WHERE id = %s"
    delete = "DELETE FROM labels WHERE id = %s"
    for first, then in (
        ((delete, labels[0]), (update, labels[:1], task)),
        ((update, labels[1:], task), (delete, labels[1])),
    ):
        with (
            world.holding(settings, *first) as connection,
            world.meanwhile(lambda then=then: world.sql(settings, *then)) as other,
        ):
            world.until_blocked(settings, 1)
            connection.commit()
            assert isinstance(other.exception(20), psycopg.errors.ForeignKeyViolation)


def test_deleting_an_account_deletes_its_labels(
    settings: Settings, user: Api, labels: list[int]
) -> None:
    user.task(label_ids=labels)
    user.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    left = "SELECT count(*) FROM labels WHERE user_id = %s"
    assert world.sql(settings, left, user.user_id) == [(0,)]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_adding_a_label_after_a_wait_uses_the_current_task(
    settings: Settings,
    app: Flask,
    contract: Contract,
    user: Api,
    labels: list[int],
    method: str,
) -> None:
    """The statement sees changes that were committed while it waited, and returns them."""
    task = user.task(title="Old", label_ids=labels[:1])
    waiting = world.person(app, contract, user)
    path = f"/tasks/{task['id']}/labels/{labels[1]}"
    lock = "SELECT 1 FROM workspaces WHERE id = %s FOR NO KEY UPDATE"
    with (
        world.holding(settings, lock, user.user_id) as connection,
        world.meanwhile(lambda: waiting.expect(200, method, path)) as answered,
    ):
        world.until_blocked(settings, 1)
        connection.execute(
            "UPDATE tasks SET title = 'New', label_ids = %s, version = 77 WHERE id = %s",
            [labels[1:], task["id"]],
        )
        connection.execute("UPDATE labels SET name = 'x' WHERE id = %s", [labels[1]])
        connection.execute("UPDATE workspaces SET version = 77 WHERE id = %s", [user.user_id])
        connection.commit()
        found = answered.result(20)
    version, has = (77, labels[1:]) if method == "PUT" else (78, labels[2:])
    assert (found["title"], found["version"], found["label_ids"]) == ("New", version, has)
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == found
