"""Sequences of requests of one user."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from support.api import Api


def _lists() -> Iterator[str]:
    orders = (
        f"{sign}{name}" for name in ("created_at", "updated_at", "title") for sign in ("", "-")
    )
    for order, state in itertools.product(
        orders, ("", "&is_completed=true", "&is_completed=false")
    ):
        yield f"/tasks?limit=1&sort={order}{state}"


def _continue_from_cursor(me: Api, path: str) -> None:
    for is_completed in (True, False) * 2:
        task = me.task(title="a")
        me.expect(200, "PATCH", f"/tasks/{task['id']}", json={"is_completed": is_completed})
    first = me.expect(200, "GET", path)
    me.expect(200, "GET", f"{path}&cursor={first['next_cursor']}")


def _task_requests(me: Api) -> None:
    task = me.task(title="New", description="As it was")
    path = f"/tasks/{task['id']}"
    known = {"If-None-Match": f'"{task["version"]}"'}
    me.expect(200, "GET", path)
    me.expect(304, "GET", path, headers=known)
    me.expect(304, "GET", "/tasks", headers={"If-None-Match": "*"})
    me.expect(200, "PUT", path, json={"title": "Newer", "description": None, "is_completed": True})
    me.expect(200, "PATCH", path, json={})
    found = me.expect(200, "PATCH", path, json={"is_completed": False})
    matching = {"If-Match": f'"{found["version"]}"'}
    me.expect(200, "PATCH", path, json={"title": "Newest"}, headers=matching)
    me.expect(204, "DELETE", path)


def _repeated_write(me: Api) -> None:
    for _ in range(2):
        keyed = {"json": {"title": "Once"}, "headers": {"Idempotency-Key": "once"}}
        me.expect(201, "POST", "/tasks", **keyed)


def _list_requests(me: Api) -> None:
    created = [me.expect(201, "POST", "/lists", json={"name": name}) for name in "abc"]
    paths = [f"/lists/{one['id']}" for one in created]
    me.expect(200, "GET", paths[0])
    me.expect(200, "PATCH", paths[0], json={"name": "d", "color": "#123456"})
    first = me.expect(200, "GET", "/lists?limit=1")
    me.expect(200, "GET", f"/lists?limit=1&cursor={first['next_cursor']}")
    me.expect(200, "POST", f"{paths[0]}/move", json={"after": None})
    for n in range(150):  # until no position is free
        me.expect(200, "POST", f"{paths[n % 2]}/move", json={"after": me.user_id})
    me.expect(200, "GET", "/lists?limit=1&sort=position")
    task = me.task(list_id=created[0]["id"])
    me.expect(200, "GET", f"/tasks?list_id={created[0]['id']}")
    me.expect(200, "PATCH", f"/tasks/{task['id']}", json={"list_id": created[1]["id"]})
    me.expect(204, "DELETE", paths[0])
    me.expect(204, "DELETE", f"{paths[1]}?tasks=move")
    me.expect(204, "DELETE", f"{paths[2]}?tasks=delete")


def _label_requests(me: Api) -> None:
    created = [me.label() for _ in range(3)]
    paths = [f"/labels/{one['id']}" for one in created]
    me.expect(200, "GET", paths[0])
    me.expect(200, "PATCH", paths[0], json={"color": "#123456"})
    first = me.expect(200, "GET", "/labels?limit=1")
    me.expect(200, "GET", f"/labels?limit=1&cursor={first['next_cursor']}")
    task = me.task(label_ids=[created[1]["id"], created[0]["id"]])
    assert task["label_ids"] == [created[0]["id"], created[1]["id"]]
    path = f"/tasks/{task['id']}"
    me.expect(200, "DELETE", f"{path}{paths[0]}")
    me.expect(200, "PUT", f"{path}{paths[0]}")
    me.expect(200, "POST", f"{paths[0]}/merge", json={"into": created[2]["id"]})
    assert me.expect(200, "GET", path)["label_ids"] == [created[1]["id"], created[2]["id"]]
    me.expect(204, "DELETE", paths[1])
    me.expect(200, "PATCH", path, json={"label_ids": [created[2]["id"]]})


def _subtask_requests(me: Api) -> None:
    parent, beside = me.task(), me.task()
    child = me.task(parent_id=parent["id"])
    path = f"/tasks/{parent['id']}"
    me.expect(200, "POST", f"{path}/move", json={"after": beside["id"]})
    me.expect(200, "POST", f"{path}/move", json={"after": None})
    for _ in range(100):  # until no position is free
        me.expect(200, "POST", f"{path}/move", json={"after": beside["id"]})
        me.expect(200, "POST", f"/tasks/{me.task()['id']}/move", json={"after": beside["id"]})
    me.expect(200, "PATCH", path, json={"list_id": _new_list(me)})
    me.expect(200, "PATCH", path, json={"is_completed": True})
    me.expect(200, "PATCH", f"/tasks/{child['id']}", json={"parent_id": None})
    me.task(parent_id=child["id"])
    me.expect(204, "DELETE", f"/tasks/{child['id']}")


def _occurrence_requests(me: Api) -> None:
    values = {"due": {"date": "2150-01-05"}, "recurrence": {"rrule": "FREQ=DAILY;COUNT=3"}}
    task = me.task(**values)
    me.task(parent_id=task["id"], is_completed=True)
    path = f"/tasks/{task['id']}"
    for verb in ("complete", "skip", "complete", "undo", "complete"):
        keyed = {"headers": {"Idempotency-Key": f"{verb}-{me.task()['id']}"}}
        me.expect(200, "POST", f"{path}/{verb}", **keyed)
    first = me.expect(200, "GET", f"{path}/occurrences?limit=2")
    assert first["total"] == 3
    me.expect(200, "GET", f"{path}/occurrences?limit=2&cursor={first['next_cursor']}")
    me.expect(200, "PATCH", path, json={"due": {"date": "2150-02-01"}})
    me.expect(200, "PATCH", path, json={"recurrence": None})
    me.expect(204, "DELETE", path)


def _new_list(me: Api) -> int:
    return int(me.list()["id"])


def _filter_requests(me: Api) -> None:
    label = me.label(name="urgent")
    query = "label = urgent or list in (inbox, 1) or parent = {} or due < today"
    task = me.task(label_ids=[label["id"]])
    created = me.filter(query=query.replace("1", str(me.user_id)).format(task["id"]))
    path = f"/filters/{created['id']}"
    me.expect(200, "GET", path)
    me.expect(200, "PATCH", path, json={"color": "#123456"})
    me.filter()
    first = me.expect(200, "GET", "/filters?limit=1")
    me.expect(200, "GET", f"/filters?limit=1&cursor={first['next_cursor']}")
    assert len(me.expect(200, "GET", f"/tasks?filter_id={created['id']}")["tasks"]) > 0
    me.expect(204, "DELETE", path)


DONE: dict[str, Callable[[Api], None]] = {
    "all operations on subtasks": _subtask_requests,
    "all operations on recurring tasks": _occurrence_requests,
    "all operations on one task": _task_requests,
    "all operations on one list": _list_requests,
    "all operations on labels": _label_requests,
    "all operations on filters": _filter_requests,
    "a write that is repeated with its key": _repeated_write,
    **{path: lambda me, path=path: _continue_from_cursor(me, path) for path in _lists()},
}
