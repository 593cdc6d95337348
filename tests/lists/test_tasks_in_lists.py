"""Tasks in lists: each task is in exactly one list of its own account."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

import psycopg
import pytest
from flask import Flask
from support import world
from support.api import Api
from support.contract import Contract

from config import Settings

NOBODYS = 9_007_199_254_740_991

LOCK = "SELECT 1 FROM workspaces WHERE id = %s FOR NO KEY UPDATE"


@pytest.fixture
def garden(user: Api) -> int:
    """The ID of a list of the user."""
    return int(user.list()["id"])


def titles(api: Api, list_id: int, **query: object) -> list[str]:
    parameters = {"list_id": list_id, **query}
    return [t["title"] for t in api.expect(200, "GET", "/tasks", query_string=parameters)["tasks"]]


def test_a_task_is_in_the_inbox_by_default(user: Api, garden: int) -> None:
    assert user.task()["list_id"] == user.user_id
    assert user.task(list_id=user.user_id)["list_id"] == user.user_id
    assert user.task(list_id=garden)["list_id"] == garden


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_task_moves_to_another_list_and_back(user: Api, garden: int, method: str) -> None:
    task = user.task()
    path = f"/tasks/{task['id']}"
    for list_id in (garden, user.user_id, garden):
        moved = user.expect(200, method, path, json={"list_id": list_id})
        assert moved["list_id"] == list_id
        assert moved["version"] == task["version"] + 1
        task = moved
    assert user.expect(200, method, path, json={"title": "Weed"})["list_id"] == garden
    assert user.expect(200, method, path, json=task)["list_id"] == garden


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1", 2**53, [1]])
def test_an_invalid_list_id_returns_400(user: Api, value: object) -> None:
    for method, path in (("POST", "/tasks"), ("PATCH", f"/tasks/{user.task()['id']}")):
        body = {"title": "a", "list_id": value}
        problem = user.problem(400, "invalid_input", method, path, json=body)
        assert [error["pointer"] for error in problem["errors"]] == ["/list_id"]


@pytest.mark.parametrize(
    "kind", ["nobody's", "a stranger's", "a stranger's inbox", "a deleted one"]
)
def test_another_users_list_is_an_unknown_reference(user: Api, stranger: Api, kind: str) -> None:
    make: dict[str, Callable[[], int]] = {
        "nobody's": lambda: NOBODYS,
        "a stranger's": lambda: stranger.expect(201, "POST", "/lists", json={"name": "a"})["id"],
        "a stranger's inbox": lambda: stranger.user_id,
        "a deleted one": lambda: _deleted(user),
    }
    task, list_id = user.task(), make[kind]()
    before = user.expect(200, "GET", "/tasks")
    for method, path in (("POST", "/tasks"), ("PUT", f"/tasks/{task['id']}")):
        for headers in (
            {},
            {"Idempotency-Key": kind.replace(" ", "-")} if method == "POST" else {},
        ):
            body = {"title": "a", "list_id": list_id}
            problem = user.problem(400, "invalid_input", method, path, json=body, headers=headers)
            assert problem["errors"] == [
                {
                    "pointer": "/list_id",
                    "message": "List not found.",
                    "code": "unknown_reference",
                }
            ]
    problem = user.problem(400, "invalid_input", "GET", f"/tasks?list_id={list_id}")
    assert [one["pointer"] for one in problem["errors"]] == ["list_id"]
    assert user.expect(200, "GET", "/tasks") == before


def _deleted(api: Api) -> int:
    created = api.expect(201, "POST", "/lists", json={"name": "a"})["id"]
    api.expect(204, "DELETE", f"/lists/{created}")
    return int(created)


def test_another_users_task_cannot_be_moved(user: Api, stranger: Api, garden: int) -> None:
    task = stranger.task()
    user.problem(403, "forbidden", "PATCH", f"/tasks/{task['id']}", json={"list_id": garden})
    assert stranger.expect(200, "GET", f"/tasks/{task['id']}") == task


def test_the_database_rejects_a_list_of_another_workspace(
    settings: Settings, user: Api, stranger: Api, garden: int
) -> None:
    task = stranger.task()["id"]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        world.sql(settings, "UPDATE tasks SET list_id = %s WHERE id = %s", garden, task)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "title", "-title"])
@pytest.mark.parametrize("is_completed", [None, "true", "false"])
def test_the_tasks_of_a_list_are_paginated(
    user: Api, garden: int, sort: str, is_completed: str | None
) -> None:
    for number in range(8):
        place = garden if number % 2 else user.user_id
        user.task(title=f"{number * 7 % 8}", list_id=place, is_completed=number % 4 < 2)
    state = {"is_completed": is_completed} if is_completed else {}
    everything = user.expect(200, "GET", "/tasks", query_string={"sort": sort, **state})["tasks"]
    for list_id in (garden, user.user_id):
        expected = [task for task in everything if task["list_id"] == list_id]
        found = []
        for page in user.pages("/tasks", list_id=list_id, sort=sort, limit=1, **state):
            assert page["total"] is None
            found += page["tasks"]
        assert found == expected


def test_an_empty_list_returns_an_empty_page(user: Api, garden: int) -> None:
    assert titles(user, garden) == []
    response = user.send("GET", f"/tasks?list_id={garden}")
    again = user.send(
        "GET", f"/tasks?list_id={garden}", headers={"If-None-Match": response.headers["ETag"]}
    )
    assert again.status_code == 304


def _add_late_task(connection: psycopg.Connection, user: Api, list_id: int) -> None:
    """Add a task to a list, in a transaction that holds the lock."""
    connection.execute(
        "INSERT INTO tasks (workspace_id, user_id, list_id, title, version)"
        " VALUES (%s, 1, %s, 'Late', 2)",
        [user.user_id, list_id],
    )
    connection.execute(
        "UPDATE workspaces SET version = version + 1, task_count = task_count + 1 WHERE id = %s",
        [user.user_id],
    )
    connection.commit()


@pytest.mark.parametrize(
    ("tasks", "status", "list_of_task"),
    [("move", 204, "inbox"), ("delete", 204, None), (None, 409, "garden")],
)
def test_deleting_a_list_sees_a_task_that_was_added_concurrently(
    settings: Settings,
    app: Flask,
    contract: Contract,
    user: Api,
    garden: int,
    tasks: str | None,
    status: int,
    list_of_task: str | None,
) -> None:
    """It waits for the workspace, and the foreign key reports that its snapshot was outdated."""
    query = f"?tasks={tasks}" if tasks else ""
    with world.holding(settings, LOCK, user.user_id) as connection:
        deleter = world.person(app, contract, user)
        with world.meanwhile(
            lambda: deleter.send("DELETE", f"/lists/{garden}{query}").status_code
        ) as deleted:
            world.until_blocked(settings, 1)
            _add_late_task(connection, user, garden)
            assert deleted.result(20) == status
    found = user.expect(200, "GET", "/tasks")
    list_ids = {"inbox": [user.user_id], "garden": [garden], None: []}[list_of_task]
    assert [task["list_id"] for task in found["tasks"]] == list_ids
    assert found["total"] == len(list_ids)


@pytest.mark.parametrize("tasks", ["move", "delete"])
def test_deleting_a_list_waits_its_turn_beside_clients_that_keep_adding_tasks(
    settings: Settings, app: Flask, contract: Contract, user: Api, garden: int, tasks: str
) -> None:
    """Each client waits for the workspace behind the deletion, and then adds a task."""
    deleter = world.person(app, contract, user)
    added = 0
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(2))
        holder = stack.enter_context(world.holding(settings, LOCK, user.user_id))
        deleted = pool.submit(deleter.send, "DELETE", f"/lists/{garden}?tasks={tasks}")
        for _ in range(4):
            world.until_blocked(settings, 1)
            following = stack.enter_context(world.holding(settings, "SELECT 1"))
            waiting = pool.submit(following.execute, LOCK, [user.user_id])
            world.until_blocked(settings, 2)
            _add_late_task(holder, user, garden)
            added += 1
            waiting.result(20)
            holder = following
            if wait([deleted], timeout=0.3).done:
                break
        holder.rollback()
        assert deleted.result(20).status_code == 204
    titles = [task["title"] for task in user.expect(200, "GET", "/tasks")["tasks"]]
    assert titles == (["Late"] * added if tasks == "move" else [])


def test_no_task_is_lost_while_its_list_is_deleted(
    app: Flask, contract: Contract, user: Api
) -> None:
    for tasks in ("move", "delete"):
        created = user.expect(201, "POST", "/lists", json={"name": "Busy"})["id"]

        def add(number: int, list_id: int = created) -> int:
            person = world.person(app, contract, user)
            body = {"title": str(number), "list_id": list_id}
            return person.send("POST", "/tasks", json=body).status_code

        def end(list_id: int = created, tasks: str = tasks) -> int:
            person = world.person(app, contract, user)
            return person.send("DELETE", f"/lists/{list_id}?tasks={tasks}").status_code

        before = user.expect(200, "GET", "/tasks")["total"]
        with ThreadPoolExecutor(8) as pool:
            adding = [pool.submit(add, number) for number in range(20)]
            ended = pool.submit(end)
            adding += [pool.submit(add, number) for number in range(20)]
            statuses = [each.result() for each in adding]
        assert ended.result() == 204
        assert set(statuses) <= {201, 400}
        after = user.expect(200, "GET", "/tasks")
        assert after["total"] == len(after["tasks"])
        if tasks == "move":
            assert after["total"] == before + statuses.count(201)
        assert created not in {task["list_id"] for task in after["tasks"]}
