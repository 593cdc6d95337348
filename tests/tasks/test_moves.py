"""The manual order of tasks: after any moves, with concurrent moves, and at one position."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from support.api import Api

from taskapi.db import positions
from taskapi.db.positions import MAX_SCALE, spread


def _list(user: Api) -> int:
    return int(user.list()["id"])


def _move(user: Api, task_id: int, **values: Any) -> dict[str, Any]:
    return dict(user.expect(200, "POST", f"/tasks/{task_id}/move", json=values))


def _order(user: Api, list_id: int | None = None) -> list[int]:
    """The IDs of a list in the manual order, read in pages, in the order of their positions."""
    query = {"list_id": list_id or user.user_id, "sort": "position", "limit": 7}
    tasks: list[dict[str, Any]] = []
    for page in user.pages("/tasks", **query):
        tasks += page["tasks"]
    keys = [(task["position"], task["id"]) for task in tasks]
    assert keys == sorted(keys)
    return [task["id"] for task in tasks]


def test_new_tasks_are_last(user: Api) -> None:
    first, second = user.task()["id"], user.task()["id"]
    _move(user, first)
    assert _order(user) == [second, first]
    third = user.task()["id"]
    assert _order(user) == [second, first, third]


def test_a_task_moves_after_another_or_to_the_beginning_or_the_end(user: Api) -> None:
    a, b, c, d = (user.task()["id"] for _ in range(4))
    _move(user, d, after=a)
    assert _order(user) == [a, d, b, c]
    _move(user, c, after=None)
    assert _order(user) == [c, a, d, b]
    _move(user, a)
    assert _order(user) == [c, d, b, a]
    _move(user, c, after=a)
    assert _order(user) == [d, b, a, c]
    _move(user, c, after=a)
    assert _order(user) == [d, b, a, c]


def test_a_move_changes_only_position_and_version(user: Api) -> None:
    a, b = user.task(), user.task()
    moved = _move(user, b["id"], after=None)
    changes = {name: moved[name] for name in ("position", "version", "updated_at")}
    assert moved == b | changes
    assert moved["position"] < a["position"]
    assert user.expect(200, "GET", f"/tasks/{a['id']}") == a


def test_a_task_that_gets_a_new_position_gets_a_new_version(
    user: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "MAX_SCALE", 0)  # no free position between two neighbours
    a, b, c = (user.task() for _ in range(3))
    _move(user, c["id"], after=a["id"])
    path = f"/tasks/{b['id']}"
    follower = user.expect(200, "GET", path)
    assert follower["position"] > b["position"]
    assert follower["version"] > c["version"]
    assert follower["updated_at"] > b["updated_at"]
    assert follower == b | {n: follower[n] for n in ("position", "version", "updated_at")}
    known = {"If-None-Match": f'"{b["version"]}"'}
    assert user.send("GET", path, headers=known).status_code == 200
    stale = {"If-Match": f'"{b["version"]}"'}
    user.problem(412, "precondition_failed", "PATCH", path, json={}, headers=stale)


def test_a_move_to_another_list_and_parent(user: Api) -> None:
    list_id = _list(user)
    a, b = (user.task(list_id=list_id)["id"] for _ in range(2))
    c = user.task()["id"]
    moved = _move(user, c, list_id=list_id, after=a)
    assert moved["list_id"] == list_id
    assert _order(user, list_id) == [a, c, b]
    below = [user.task(parent_id=a)["id"] for _ in range(2)]
    moved = _move(user, c, parent_id=a, after=below[0])
    assert (moved["parent_id"], moved["list_id"]) == (a, list_id)
    order = _order(user, list_id)
    assert [one for one in order if one in (*below, c)] == [below[0], c, below[1]]
    assert _move(user, c, parent_id=None, after=None)["parent_id"] is None
    assert _order(user, list_id)[0] == c


@pytest.mark.parametrize("which", ["itself", "nowhere", "theirs", "another list", "below"])
def test_after_must_reference_a_sibling(user: Api, stranger: Api, which: str) -> None:
    task, beside = user.task()["id"], user.task()["id"]
    after = {
        "itself": lambda: task,
        "nowhere": lambda: 2**53 - 1,
        "theirs": lambda: stranger.task()["id"],
        "another list": lambda: user.task(list_id=_list(user))["id"],
        "below": lambda: user.task(parent_id=beside)["id"],
    }[which]()
    tag = user.send("GET", "/tasks").headers["ETag"]
    path = f"/tasks/{task}/move"
    (error,) = user.problem(400, "invalid_input", "POST", path, json={"after": after})["errors"]
    assert (error["pointer"], error["code"]) == ("/after", "not_a_sibling")
    assert user.send("GET", "/tasks").headers["ETag"] == tag


def test_a_move_of_an_outdated_version_returns_412(user: Api) -> None:
    task = user.task()
    headers = {"If-Match": '"0"'}
    path = f"/tasks/{task['id']}/move"
    problem = user.problem(412, "precondition_failed", "POST", path, json={}, headers=headers)
    assert problem["task"] == task


def test_moves_give_the_order_of_a_python_list(user: Api) -> None:
    chance = random.Random(7)
    order = [user.task()["id"] for _ in range(12)]
    for _ in range(150):
        task_id = chance.choice(order)
        order.remove(task_id)
        after = chance.choice([None, *order])
        order.insert(order.index(after) + 1 if after else 0, task_id)
        _move(user, task_id, after=after)
    assert _order(user) == order


def test_repeated_moves_to_one_position(user: Api) -> None:
    fixed, a, b, last = (user.task()["id"] for _ in range(4))
    for n in range(150):
        _move(user, (a, b)[n % 2], after=fixed)
    assert _order(user) == [fixed, b, a, last]


def test_a_move_between_equal_positions(user: Api) -> None:
    """As after joining lists: the first task of each has the same position."""
    lists = [_list(user), _list(user)]
    ids: list[int] = []
    anchor = user.task()["id"]
    for list_id in lists:
        inside = [user.task(list_id=list_id)["id"] for _ in range(2)]
        _move(user, anchor, list_id=list_id)
        _move(user, inside[1], after=anchor)
        ids += inside
    moved = user.task()["id"]
    for list_id in lists:
        user.expect(204, "DELETE", f"/lists/{list_id}?tasks=move")
    order = _order(user)
    for after in list(order):
        if after == moved:
            continue
        order.remove(moved)
        order.insert(order.index(after) + 1, moved)
        _move(user, moved, after=after)
        assert _order(user) == order


def test_a_hundred_concurrent_moves(user: Api) -> None:
    fixed = user.task()["id"]
    ids = [user.task()["id"] for _ in range(100)]

    def move(task_id: int) -> int:
        return int(_move(user, task_id, after=fixed)["version"])

    with ThreadPoolExecutor(20) as threads:
        versions = dict(zip(ids, threads.map(move, ids), strict=True))
    assert len(set(versions.values())) == 100
    # Each was moved after the first, so the last one moved is the nearest.
    assert _order(user) == [fixed, *sorted(ids, key=lambda one: -versions[one])]


@pytest.mark.parametrize("count", [1, 2, 200])
def test_positions_between_two_have_few_digits_and_are_in_order(count: int) -> None:
    for low, high in (("1", "2"), ("-3", "7.25"), ("0.1", "0.11"), ("7", "1000000")):
        positions = spread(Decimal(low), Decimal(high), count)
        assert positions
        assert len(positions) == count
        every = [Decimal(low), *positions, Decimal(high)]
        assert all(a < b for a, b in pairwise(every))


def test_there_is_no_position_between_equal_or_adjacent_ones() -> None:
    one = Decimal(1)
    near, nearly = (Decimal(f"1.{digit:0{MAX_SCALE}}") for digit in (1, 2))
    assert spread(one, one, 1) is None
    assert spread(one, near, 1) is None
    assert spread(one, nearly, 1) == [near]
