"""Concurrent writes: each takes its own version, and totals are right."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import Api, new_title
from werkzeug.test import TestResponse

from config import Settings

WRITES = ("PUT", "PATCH", "DELETE")


def _kept_version(settings: Settings, user: Api) -> int:
    found = world.sql(settings, "SELECT version FROM workspaces WHERE id = %s", user.user_id)
    return int(found[0][0])


def _in_own_thread(app: Flask, user: Api, *call: Any, **kwargs: Any) -> Callable[[], Any]:
    def run() -> TestResponse:
        return world.person(app, user.contract, like=user).send(*call, **kwargs)

    return run


def _after(
    settings: Settings, user: Api, writes: tuple[str, str], call: Callable[[], Any]
) -> TestResponse:
    """The response of a call that waited for another transaction with these two writes."""
    first, second = writes
    with ThreadPoolExecutor(1) as threads:
        with world.holding(settings, first, user.user_id) as other:
            other.execute(second, [user.user_id])
            waiting = threads.submit(call)
            world.until_blocked(settings, 1)
        return waiting.result()


def test_one_of_fifty_concurrent_writes_of_one_version_is_performed(
    app: Flask, user: Api, settings: Settings
) -> None:
    task = user.task()
    address, same = f"/tasks/{task['id']}", {"If-Match": f'"{task["version"]}"'}
    responses = world.at_once(
        [
            _in_own_thread(app, user, "PATCH", address, json={"title": f"{n}"}, headers=same)
            for n in range(50)
        ]
    )
    done = [response.get_json() for response in responses if response.status_code == 200]
    refused = [response.get_json() for response in responses if response.status_code == 412]
    assert (len(done), len(refused)) == (1, 49)
    assert {problem["task"]["title"] for problem in refused} == {done[0]["title"]}
    assert done[0]["version"] == task["version"] + 1 == _kept_version(settings, user)
    assert user.expect(200, "GET", address) == done[0]


def test_concurrent_writes_without_a_condition_are_serialized(app: Flask, user: Api) -> None:
    address = f"/tasks/{user.task()['id']}"
    bodies: list[dict[str, Any]] = [
        {"title": str(n)} if n % 2 else {"is_completed": n % 4 == 0} for n in range(24)
    ]
    responses = world.at_once(
        [_in_own_thread(app, user, "PATCH", address, json=body) for body in bodies]
    )
    assert sorted(response.get_json()["version"] for response in responses) == list(range(2, 26))
    last = max(
        (response.get_json() for response in responses), key=lambda fetched: fetched["version"]
    )
    assert user.expect(200, "GET", address) == last
    done = user.expect(200, "GET", "/tasks?is_completed=true")
    assert done["total"] == len(done["tasks"]) == int(last["is_completed"])


def test_tasks_created_concurrently_have_all_versions_and_are_counted(
    app: Flask, user: Api
) -> None:
    responses = world.at_once(
        [
            _in_own_thread(
                app, user, "POST", "/tasks", json={"title": "New", "is_completed": n % 3 == 0}
            )
            for n in range(30)
        ]
    )
    assert sorted(response.get_json()["version"] for response in responses) == list(range(1, 31))
    assert user.expect(200, "GET", "/tasks")["total"] == 30
    assert user.expect(200, "GET", "/tasks?is_completed=true")["total"] == 10


def test_a_task_deleted_concurrently_is_counted_once(
    app: Flask, user: Api, settings: Settings
) -> None:
    user.task()
    address = f"/tasks/{user.task(is_completed=True)['id']}"
    calls = [_in_own_thread(app, user, "DELETE", address) for _ in range(8)]
    calls += [
        _in_own_thread(app, user, "PATCH", address, json={"is_completed": n % 2 == 0})
        for n in range(8)
    ]
    statuses = [response.status_code for response in world.at_once(calls)]
    assert statuses[:8].count(204) == 1
    assert set(statuses) <= {200, 204, 404}
    patched = statuses[8:].count(200)
    assert _kept_version(settings, user) == 3 + patched
    totals = "SELECT task_count, completed_task_count FROM workspaces WHERE id = %s"
    assert world.sql(settings, totals, user.user_id) == [(1, 0)]


@pytest.mark.parametrize(
    ("change", "totals"),
    [
        (("PUT", {"is_completed": False}), (1, 0)),
        (("PATCH", {"is_completed": True}), (1, 1)),
        (("PATCH", {"title": "New"}), (1, 1)),
        (("DELETE", None), (0, 0)),
    ],
)
def test_a_write_that_waited_takes_the_next_version(
    app: Flask, user: Api, settings: Settings, change: tuple[str, Any], totals: tuple[int, int]
) -> None:
    method, body = change
    address = f"/tasks/{user.task()['id']}"
    call = _in_own_thread(app, user, method, address, json=body)
    count = "UPDATE workspaces SET version = 2, completed_task_count = 1 WHERE id = %s"
    complete = "UPDATE tasks SET version = 2, is_completed = true WHERE workspace_id = %s"
    response = _after(settings, user, (count, complete), call)
    assert response.status_code in (200, 204)
    statement = "SELECT version, task_count, completed_task_count FROM workspaces WHERE id = %s"
    assert world.sql(settings, statement, user.user_id) == [(3, *totals)]


@pytest.mark.parametrize("method", WRITES)
def test_a_write_that_waited_checks_the_version_after_the_wait(
    app: Flask, user: Api, settings: Settings, method: str
) -> None:
    task = user.task()
    call = _in_own_thread(
        app,
        user,
        method,
        f"/tasks/{task['id']}",
        headers={"If-Match": f'"{task["version"]}"'},
        **new_title(method),
    )
    count = "UPDATE workspaces SET version = 2 WHERE id = %s"
    rename = "UPDATE tasks SET version = 2, title = 'Early' WHERE workspace_id = %s"
    response = _after(settings, user, (count, rename), call)
    assert response.status_code == 412
    assert response.get_json()["task"]["title"] == "Early"
    assert _kept_version(settings, user) == 2
