"""The numbers of open and completed tasks of lists, after each kind of write."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support import world
from support.api import Api

from config import Settings


def _counts(user: Api, **query: Any) -> dict[int, tuple[int, int]]:
    """The numbers of open and completed tasks of each list that has any."""
    page = user.expect(200, "GET", "/lists", query_string=query)
    found = {row["id"]: (row["open_count"], row["completed_count"]) for row in page["lists"]}
    return {list_id: counts for list_id, counts in found.items() if counts != (0, 0)}


def _tree(user: Api, list_id: int) -> tuple[int, list[int]]:
    """A task with an open subtask, which has a completed one: the IDs of the first and of all."""
    first = user.task(list_id=list_id)["id"]
    second = user.task(parent_id=first)["id"]
    third = user.task(parent_id=second, is_completed=True)["id"]
    return first, [first, second, third]


def test_a_new_list_has_no_tasks(user: Api) -> None:
    user.list()
    assert _counts(user) == {}


def test_tasks_are_counted_in_their_list_and_in_the_inbox(user: Api, stranger: Api) -> None:
    a, b, inbox = user.list()["id"], user.list()["id"], user.user_id
    for list_id in (a, a, inbox):
        user.task(list_id=list_id)
    user.task(list_id=b, is_completed=True)
    user.task(is_completed=True)
    stranger.task()
    assert _counts(user) == {a: (2, 0), b: (0, 1), inbox: (1, 1)}
    assert _counts(stranger) == {stranger.user_id: (1, 0)}
    assert _counts(user, sort="-name", limit=2) == {b: (0, 1), a: (2, 0)}


def test_each_change_of_a_task_is_counted(user: Api) -> None:
    a, b, inbox = user.list()["id"], user.list()["id"], user.user_id
    path = f"/tasks/{user.task(list_id=a)['id']}"
    for body, expected in (
        ({"title": "Other"}, {a: (1, 0)}),
        ({"is_completed": True}, {a: (0, 1)}),
        ({"is_completed": True}, {a: (0, 1)}),
        ({"list_id": b}, {b: (0, 1)}),
        ({"list_id": a, "is_completed": False}, {a: (1, 0)}),
        ({"list_id": inbox}, {inbox: (1, 0)}),
        ({"is_completed": True}, {inbox: (0, 1)}),
        ({"list_id": b, "is_completed": True}, {b: (0, 1)}),
    ):
        user.expect(200, "PATCH", path, json=body)
        assert _counts(user) == expected
    user.expect(200, "POST", f"{path}/move", json={"list_id": a})
    assert _counts(user) == {a: (0, 1)}
    user.expect(204, "DELETE", path)
    assert _counts(user) == {}


def test_subtasks_are_counted_with_their_parent(user: Api) -> None:
    a, b, inbox = user.list()["id"], user.list()["id"], user.user_id
    first, _ = _tree(user, a)
    path = f"/tasks/{first}"
    assert _counts(user) == {a: (2, 1)}
    for list_id in (b, inbox, a):
        user.expect(200, "PATCH", path, json={"list_id": list_id})
        assert _counts(user) == {list_id: (2, 1)}
    user.expect(200, "POST", f"{path}/move", json={"list_id": b, "after": None})
    assert _counts(user) == {b: (2, 1)}
    user.expect(200, "POST", f"{path}/complete")
    assert _counts(user) == {b: (0, 3)}
    other = user.task(list_id=a)["id"]
    user.expect(200, "PATCH", path, json={"parent_id": other, "list_id": a})
    assert _counts(user) == {a: (1, 3)}
    user.expect(204, "DELETE", f"/tasks/{other}")
    assert _counts(user) == {}


def test_completed_and_undone_occurrences_are_counted(user: Api) -> None:
    a = user.list()["id"]
    recurrence = {"rrule": "FREQ=DAILY;COUNT=2"}
    task = user.task(list_id=a, due={"date": "2150-01-05"}, recurrence=recurrence)
    user.task(parent_id=task["id"])
    path = f"/tasks/{task['id']}"
    assert _counts(user) == {a: (2, 0)}
    user.expect(200, "POST", f"{path}/complete")
    before = _counts(user)
    user.expect(200, "POST", f"{path}/complete")
    assert _counts(user) == {a: (0, 2)}
    user.expect(200, "POST", f"{path}/undo")
    after = _counts(user)
    tasks = user.expect(200, "GET", "/tasks", query_string={"list_id": a})["tasks"]
    assert sum(before[a]) == sum(after[a]) == 2
    assert after[a][0] == sum(not task["is_completed"] for task in tasks)


@pytest.mark.parametrize(("how", "left"), [("move", (3, 1)), ("delete", (1, 0))])
def test_a_deleted_list_leaves_its_tasks_to_the_inbox_or_deletes_them(
    user: Api, how: str, left: tuple[int, int]
) -> None:
    a = user.list()["id"]
    user.task()
    _tree(user, a)
    user.expect(204, "DELETE", f"/lists/{a}?tasks={how}")
    assert _counts(user) == {user.user_id: left}


def test_counts_are_right_after_concurrent_writes(user: Api, settings: Settings) -> None:
    lists = [user.user_id, user.list()["id"], user.list()["id"]]
    tasks = [user.task(list_id=list_id)["id"] for list_id in lists for _ in range(4)]

    def change(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            path = f"/tasks/{chance.choice(tasks)}"
            body = {"list_id": chance.choice(lists), "is_completed": chance.random() < 0.5}
            api = Api(user.client.application.test_client(), user.contract)
            api.login = user.login
            api.expect(200, "PATCH", path, json=body)
            api.task(list_id=chance.choice(lists))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(change, range(4)))
    counted = world.sql(
        settings,
        "SELECT coalesce(list_id, workspace_id), count(*) FILTER (WHERE NOT is_completed),"
        " count(*) FILTER (WHERE is_completed) FROM tasks WHERE workspace_id = %s GROUP BY 1",
        user.user_id,
    )
    assert _counts(user) == {list_id: (opened, done) for list_id, opened, done in counted}


def test_a_task_changes_the_counts_but_not_the_version_of_its_list(user: Api) -> None:
    row = user.list()
    path = f"/lists/{row['id']}"
    known = {"If-None-Match": user.send("GET", "/lists").headers["ETag"]}
    user.task(list_id=row["id"])
    assert user.expect(200, "GET", path) == row
    assert user.send("GET", "/lists", headers=known).status_code == 200
    (_, listed) = user.expect(200, "GET", "/lists")["lists"]
    assert listed == row | {"open_count": 1, "completed_count": 0}
    sent = {"json": listed | {"name": "Renamed"}, "headers": {"If-Match": f'"{row["version"]}"'}}
    assert user.expect(200, "PUT", path, **sent)["name"] == "Renamed"
    assert _counts(user) == {row["id"]: (1, 0)}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"is_completed": "false"},
        {"list_id": "a"},
        {"list_id": "inbox"},
        {"list_id": "a", "is_completed": "true"},
        {"filter": "priority >= 3"},
        {"filter": "title ~ o and not completed", "sort": "due"},
        {"text": "one", "sort": "position"},
        {"priority": "1", "list_id": "a"},
    ],
    ids=str,
)
def test_the_tasks_of_any_filter_are_counted_if_requested(user: Api, query: Any) -> None:
    a = user.list()["id"]
    for n in range(9):
        user.task(
            title=("one", "two", "zero")[n % 3],
            is_completed=n % 2 == 0,
            priority=n % 5,
            **({"list_id": a} if n % 4 else {}),
        )
    if "list_id" in query:
        query = query | {"list_id": {"a": a, "inbox": user.user_id}[query["list_id"]]}
    every = user.expect(200, "GET", "/tasks", query_string=query)
    assert every["total"] in (None, len(every["tasks"]))
    seen = 0
    for page in user.pages("/tasks", **query, count="true", limit=2):
        assert page["total"] == len(every["tasks"])
        seen += len(page["tasks"])
    assert seen == len(every["tasks"])
    not_counted = user.expect(200, "GET", "/tasks", query_string=query | {"count": "false"})
    assert not_counted == every


def test_the_pages_of_a_count_are_linked(user: Api) -> None:
    for _ in range(3):
        user.task(priority=4)
    first = user.send("GET", "/tasks?priority=4&count=true&limit=2")
    following = first.headers["Link"].partition(">")[0].lstrip("<")
    assert user.expect(200, "GET", following)["total"] == 3
