"""Requests with their expected status and maximum number of round trips.

Each operation of the OpenAPI document is measured without a line here; these are further cases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from support.api import Api

PREVIEW = {"rrule": "FREQ=DAILY", "due": {"date": "2026-12-24"}}
QUERY = "/tasks?limit=1&sort=-title&is_completed=false"
NOWHERE = {"title": "a", "list_id": 9_007_199_254_740_991}
UNLABELLED = {"title": "a", "label_ids": [9_007_199_254_740_991]}

Request = dict[str, Any]


class Case(NamedTuple):
    """A request with its expected status and maximum number of round trips."""

    name: str
    status: int
    round_trips: int
    of: Callable[[Api, Api], Request]
    """Creates the data of a user and a stranger, and returns the request."""


def request(method: str, path: str, body: Any = None, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"method": method, "path": path, "json": body, "headers": named}


def _address(api: Api, **values: Any) -> str:
    return f"/tasks/{api.task(**values)['id']}"


def _list(api: Api) -> str:
    return f"/lists/{api.list()['id']}"


def _in_list(api: Api) -> dict[str, Any]:
    return {"title": "a", "list_id": int(_list(api).rpartition("/")[2])}


def label_of(api: Api) -> str:
    return f"/labels/{api.label()['id']}"


def _labelled(api: Api) -> str:
    """The URL of a label of a task."""
    label_id = api.label()["id"]
    return f"{_address(api, label_ids=[label_id])}/labels/{label_id}"


def _kept_filter(api: Api) -> str:
    return f"/tasks?filter_id={api.filter()['id']}"


def _tasks_of(api: Api) -> str:
    list_id = api.task(**_in_list(api))["list_id"]
    return f"/tasks?list_id={list_id}"


def _second(api: Api) -> str:
    api.task()
    return _address(api)


def _child(api: Api) -> dict[str, Any]:
    return {"title": "a", "parent_id": api.task()["id"]}


def _parent(api: Api) -> str:
    return f"/tasks/{api.task(**_child(api))['parent_id']}"


def _due_by_default(api: Api) -> dict[str, object]:
    api.expect(200, "PATCH", "/auth/me", json={"timezone": "Europe/Berlin"})
    return {"title": "a", "due": {"datetime": "2030-01-05T09:00:00"}}


def _recurring(api: Api) -> str:
    due, recurrence = {"date": "2150-01-05"}, {"rrule": "FREQ=DAILY;COUNT=2"}
    return _address(api, due=due, recurrence=recurrence)


def _at_its_last(api: Api) -> str:
    address = _recurring(api)
    api.expect(200, "POST", f"{address}/complete")
    return address


def _full_list(api: Api) -> str:
    return f"/lists/{api.task(**_in_list(api))['list_id']}"


def _next_page(api: Api) -> str:
    for title in ("a", "b", "c"):
        api.task(title=title)
    return f"{QUERY}&cursor={api.expect(200, 'GET', QUERY)['next_cursor']}"


def _version(api: Api, address: str) -> str:
    return api.send("GET", address).headers["ETag"]


def _logged_out(api: Api, path: str) -> str:
    api.expect(200, "POST", "/auth/logout")
    return path


def _logged_in_twice(api: Api, path: str) -> str:
    api.again()
    return path


def _known(api: Api, address: str) -> Request:
    return request("GET", address, If_None_Match=_version(api, address))


def _commented(api: Api) -> str:
    return _comment(api).rpartition("/comments")[0]


def _comment(api: Api) -> str:
    task_id = api.task()["id"]
    return f"/tasks/{task_id}/comments/{api.comment(task_id)['id']}"


DONE = [
    Case("list", 200, 1, lambda me, _: request("GET", "/tasks")),
    Case("list, a page on", 200, 1, lambda me, _: request("GET", _next_page(me))),
    Case("list, empty", 200, 1, lambda me, _: request("GET", "/tasks?is_completed=true")),
    Case("list, known", 304, 1, lambda me, _: _known(me, "/tasks")),
    Case("list, known by star", 304, 1, lambda me, _: request("GET", QUERY, If_None_Match="*")),
    Case("get", 200, 1, lambda me, _: request("GET", _address(me))),
    Case("get, known", 304, 1, lambda me, _: _known(me, _address(me))),
    Case("head", 200, 1, lambda me, _: request("HEAD", _address(me))),
    Case("create", 201, 1, lambda me, _: request("POST", "/tasks", {"title": "a"})),
    Case(
        "create whole",
        201,
        1,
        lambda me, _: request(
            "POST", "/tasks", {"title": "a", "description": "b", "is_completed": True}
        ),
    ),
    Case("put", 200, 1, lambda me, _: request("PUT", _address(me), {"title": "b"})),
    Case("patch", 200, 1, lambda me, _: request("PATCH", _address(me), {"is_completed": True})),
    Case("patch nothing", 200, 1, lambda me, _: request("PATCH", _address(me), {})),
    Case(
        "patch if unchanged",
        200,
        1,
        lambda me, _: request(
            "PATCH",
            (address := _address(me)),
            {"description": None},
            If_Match=_version(me, address),
        ),
    ),
    Case("delete", 204, 1, lambda me, _: request("DELETE", _address(me, is_completed=True))),
    Case(
        "create in the default time zone",
        201,
        2,
        lambda me, _: request("POST", "/tasks", _due_by_default(me)),
    ),
    Case("create in a list", 201, 1, lambda me, _: request("POST", "/tasks", _in_list(me))),
    Case("put back", 200, 1, lambda me, _: request("PUT", _address(me), me.task())),
    Case("list of a list", 200, 1, lambda me, _: request("GET", _tasks_of(me))),
    Case(
        "list, delete and move",
        204,
        1,
        lambda me, _: request("DELETE", f"/lists/{_in_list(me)['list_id']}?tasks=move"),
    ),
    Case("occurrences", 200, 1, lambda me, _: request("GET", f"{_at_its_last(me)}/occurrences")),
    Case(
        "create with a label",
        201,
        1,
        lambda me, _: request("POST", "/tasks", {"title": "a", "label_ids": [me.label()["id"]]}),
    ),
    Case("put a label on", 200, 1, lambda me, _: request("PUT", _address(me) + label_of(me))),
    Case("put it on again", 200, 1, lambda me, _: request("PUT", _labelled(me))),
    Case("take a label off", 200, 1, lambda me, _: request("DELETE", _labelled(me))),
    Case("take off none", 200, 1, lambda me, _: request("DELETE", _address(me) + label_of(me))),
    Case("comments", 200, 1, lambda me, _: request("GET", f"{_address(me)}/comments")),
    Case("comments, known", 304, 1, lambda me, _: _known(me, f"{_address(me)}/comments")),
    Case(
        "comment, create",
        201,
        1,
        lambda me, _: request("POST", f"{_address(me)}/comments", {"text": "a"}),
    ),
    Case("comment, get", 200, 1, lambda me, _: request("GET", _comment(me))),
    Case("comment, put", 200, 1, lambda me, _: request("PUT", _comment(me), {"text": "b"})),
    Case("comment, patch nothing", 200, 1, lambda me, _: request("PATCH", _comment(me), {})),
    Case("comment, delete", 204, 1, lambda me, _: request("DELETE", _comment(me))),
    Case("delete with comments", 204, 1, lambda me, _: request("DELETE", _commented(me))),
    Case("ready", 200, 1, lambda me, _: request("GET", "/readyz")),
]
TOGETHER = [
    Case("put into a list", 200, 8, lambda me, _: request("PUT", _address(me), _in_list(me))),
    Case("create a subtask", 201, 5, lambda me, _: request("POST", "/tasks", _child(me))),
    Case(
        "complete a parent",
        200,
        7,
        lambda me, _: request("PATCH", _parent(me), {"is_completed": True}),
    ),
    Case("delete a parent", 204, 6, lambda me, _: request("DELETE", _parent(me))),
    Case("move to the end", 200, 6, lambda me, _: request("POST", f"{_address(me)}/move", {})),
    Case(
        "move to the top",
        200,
        6,
        lambda me, _: request("POST", f"{_second(me)}/move", {"after": None}),
    ),
    Case(
        "move behind another",
        200,
        8,
        lambda me, _: request("POST", f"{_address(me)}/move", {"after": me.task()["id"]}),
    ),
    Case("complete", 200, 5, lambda me, _: request("POST", f"{_address(me)}/complete")),
    Case(
        "complete an occurrence",
        200,
        8,
        lambda me, _: request("POST", f"{_recurring(me)}/complete"),
    ),
    Case(
        "complete the last", 200, 7, lambda me, _: request("POST", f"{_at_its_last(me)}/complete")
    ),
    Case("skip", 200, 8, lambda me, _: request("POST", f"{_recurring(me)}/skip")),
    Case("undo", 200, 8, lambda me, _: request("POST", f"{_at_its_last(me)}/undo")),
    Case("list, move to the end", 200, 6, lambda me, _: request("POST", f"{_list(me)}/move", {})),
    Case(
        "list, move behind another",
        200,
        8,
        lambda me, _: request("POST", f"{_list(me)}/move", {"after": me.user_id}),
    ),
]
"""Writes that depend on several rows, which are transactions."""

UNPREPARED = [
    Case("find", 200, 1, lambda me, _: request("GET", "/tasks?filter=list+%3D+inbox")),
    Case(
        "find overdue", 200, 1, lambda me, _: request("GET", "/tasks?is_overdue=true&timezone=UTC")
    ),
    Case("find overdue by default", 200, 2, lambda me, _: request("GET", "/tasks?is_overdue=true")),
    Case("find, kept", 200, 2, lambda me, _: request("GET", _kept_filter(me))),
    Case("find in nothing", 400, 1, lambda me, _: request("GET", "/tasks?filter=list+%3D+a")),
    Case("find of none", 400, 1, lambda me, _: request("GET", "/tasks?parent_id=1")),
    Case(
        "find, session over",
        401,
        1,
        lambda me, _: request("GET", _logged_out(me, "/tasks?priority=3")),
    ),
]
"""Requests whose statements are not prepared, because they depend on the filter."""

REFUSED = [
    Case("get, theirs", 403, 2, lambda _, them: request("GET", _address(them))),
    Case("put, theirs", 403, 2, lambda _, them: request("PUT", _address(them), {"title": "b"})),
    Case("delete, theirs", 403, 3, lambda _, them: request("DELETE", _address(them))),
    Case("occurrences, none", 200, 2, lambda me, _: request("GET", f"{_address(me)}/occurrences")),
    Case("get nothing", 404, 2, lambda me, _: request("GET", "/tasks/9007199254740991")),
    Case("delete nothing", 404, 3, lambda me, _: request("DELETE", "/tasks/9007199254740991")),
    Case(
        "put, changed",
        412,
        2,
        lambda me, _: request("PUT", _address(me), {"title": "b"}, If_Match='"0"'),
    ),
    Case("create in no list", 400, 1, lambda me, _: request("POST", "/tasks", NOWHERE)),
    Case("create, unknown label", 400, 1, lambda me, _: request("POST", "/tasks", UNLABELLED)),
    Case(
        "label, create, taken",
        409,
        2,
        lambda me, _: request("POST", "/labels", {"name": me.label()["name"]}),
    ),
    Case(
        "list, create, taken",
        409,
        2,
        lambda me, _: request("POST", "/lists", {"name": me.list()["name"]}),
    ),
    Case(
        "list, rename, taken",
        409,
        2,
        lambda me, _: request("PATCH", _list(me), {"name": me.list()["name"]}),
    ),
    Case(
        "filter, create, taken",
        409,
        2,
        lambda me, _: request(
            "POST", "/filters", {"name": me.filter()["name"], "query": "completed"}
        ),
    ),
    Case("comment, get, theirs", 403, 2, lambda _, them: request("GET", _comment(them))),
    Case("comment, delete, theirs", 403, 2, lambda _, them: request("DELETE", _comment(them))),
    Case("comments, theirs", 403, 3, lambda _, them: request("GET", f"{_address(them)}/comments")),
    Case("delete, full", 409, 2, lambda me, _: request("DELETE", _full_list(me))),
    Case("list, session over", 401, 1, lambda me, _: request("GET", _logged_out(me, "/tasks"))),
    Case(
        "create, session over",
        401,
        2,
        lambda me, _: request("POST", _logged_out(me, "/tasks"), {"title": "a"}),
    ),
    Case(
        "preview a recurrence, session over",
        401,
        1,
        lambda me, _: request("POST", _logged_out(me, "/recurrence/preview"), PREVIEW),
    ),
    Case("get, session over", 401, 2, lambda me, _: request("GET", _logged_out(me, _address(me)))),
]
UNASKED = [
    Case("alive", 200, 0, lambda me, _: request("GET", "/livez")),
    Case("no such address", 404, 0, lambda me, _: request("GET", "/nothing")),
    Case("bad body", 400, 0, lambda me, _: request("POST", "/tasks", {"title": ""})),
    Case("bad filter", 400, 0, lambda me, _: request("GET", "/tasks?filter=a")),
    Case("bad query", 400, 0, lambda me, _: request("GET", "/tasks?cursor=x")),
    Case("bad token", 401, 0, lambda me, _: request("GET", "/tasks", Authorization="Bearer x")),
]
ALL = [*DONE, *UNPREPARED, *REFUSED, *UNASKED]
