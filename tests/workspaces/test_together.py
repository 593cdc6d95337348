"""Members who edit one workspace at the same time, and lose nothing."""

from __future__ import annotations

from functools import partial
from itertools import cycle
from typing import Any

from flask import Flask
from support import world
from support.api import Api

_INCREMENTS = 15
"""Of each client."""


def _clients(app: Flask, shared: int, *members: Api) -> list[Api]:
    """Two clients of each member in a workspace, each for a thread of its own."""
    return [world.person(app, one.contract, like=one).at(shared) for one in members * 2]


def _increment(client: Api, path: str) -> int:
    """Increment the number in a description often, and return how often this was repeated."""
    conflicts = 0
    task = client.expect(200, "GET", path)
    for _ in range(_INCREMENTS):
        while True:
            body = {"description": str(int(task["description"]) + 1)}
            current = {"If-Match": f'"{task["version"]}"'}
            response = client.send("PATCH", path, json=body, headers=current)
            if response.status_code == 200:
                task = response.get_json()
                break
            assert response.status_code == 412, response.get_data(as_text=True)
            task = response.get_json()["task"]
            conflicts += 1
    return conflicts


def test_no_update_of_two_members_is_lost(app: Flask, user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    task = user.at(shared).task(description="0")
    path, clients = f"/tasks/{task['id']}", _clients(app, shared, user, stranger)
    conflicts = world.at_once([partial(_increment, client, path) for client in clients])
    done = stranger.at(shared).expect(200, "GET", path)
    assert int(done["description"]) == _INCREMENTS * len(clients)
    assert done["version"] == task["version"] + _INCREMENTS * len(clients)
    assert sum(conflicts) > 0, "the clients did not meet"


def _add_and_move(client: Api, name: str, list_id: int, moved: list[int]) -> list[str]:
    """Create tasks in a list, and move a task to the start of it after each. Return the titles."""
    titles = [f"{name} {number}" for number in range(len(moved))]
    for title, task_id in zip(titles, moved, strict=True):
        client.task(title=title, list_id=list_id)
        body: dict[str, Any] = {"list_id": list_id, "after": None}
        client.expect(200, "POST", f"/tasks/{task_id}/move", json=body)
    return titles


def test_no_creation_or_move_of_two_members_is_lost(app: Flask, user: Api, stranger: Api) -> None:
    shared = user.workspace(editor=stranger)
    inside = user.at(shared)
    target = inside.list()["id"]
    clients = _clients(app, shared, user, stranger)
    # The clients of a pair move the same tasks.
    tasks = [[inside.task(title=f"Moved {pair} {n}") for n in range(5)] for pair in "AB"]
    shares = [[task["id"] for task in some] for some in (tasks[0], tasks[0], tasks[1], tasks[1])]
    added = world.at_once(
        [
            partial(_add_and_move, client, f"Added {number}", target, share)
            for number, (client, share) in enumerate(zip(clients, shares, strict=True))
        ]
    )
    sort = {"list_id": target, "sort": "position"}
    found = stranger.at(shared).expect(200, "GET", "/tasks", query_string=sort)["tasks"]
    expected = [title for titles in added for title in titles]
    expected += [task["title"] for some in tasks for task in some]
    assert sorted(task["title"] for task in found) == sorted(expected)
    assert len({task["position"] for task in found}) == len(expected)
    assert {task["user_id"] for task in found} == {user.user_id, stranger.user_id}
    counts = {one["id"]: one["open_count"] for one in inside.expect(200, "GET", "/lists")["lists"]}
    assert counts == {shared: 0, target: len(expected)}


def test_one_of_two_changes_of_one_version_is_performed(
    app: Flask, user: Api, stranger: Api
) -> None:
    shared = user.workspace(editor=stranger)
    task = user.at(shared).task()
    same = {"If-Match": f'"{task["version"]}"'}
    methods = cycle(("PUT", "PATCH", "DELETE"))
    responses = world.at_once(
        [
            partial(
                client.send,
                method,
                f"/tasks/{task['id']}",
                headers=same,
                **({} if method == "DELETE" else {"json": {"title": f"By {number}"}}),
            )
            for number, (client, method) in enumerate(
                zip(_clients(app, shared, user, stranger), methods, strict=False)
            )
        ]
    )
    done = [one for one in responses if one.status_code in (200, 204)]
    assert len(done) == 1
    assert {one.status_code for one in responses if one not in done} <= {404, 412}
