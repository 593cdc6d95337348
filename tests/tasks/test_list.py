"""Lists of tasks: order, pages, filter, totals and query parameters."""

from __future__ import annotations

import base64
import itertools
import json
import re
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from support import world
from support.api import Api
from support.contract import Contract

from config import Settings

SORTS = ("created_at", "updated_at", "title")
EACH_SORT = [sign + name for name in SORTS for sign in ("", "-")]
FILTERS = (None, True, False)
# Titles that differ only in ASCII case are ties, which the ID decides.
TITLES = (
    *("b", "B", "a", "A", "aa", "Aa", "É", "é", "e", "ß", "SS", "_", "^", "Z", "[", "0", "10"),
    *("2", "a b", "a-b", "a", "\x01", "~", "\x7f", "\ufffd", "🌱", "İ", "i", "I", "k", "K"),
    *("\U0001d538", "\u0131", "\u212a"),  # which other case foldings map to A, I and K
    "\x01" * 255,  # the longest key of a cursor
    "🌱" * 255,
)

Tasks = list[dict[str, Any]]


@pytest.fixture(scope="module")
def owner(app: Flask, contract: Contract) -> Api:
    """A user with a task for each title, half of them completed, changed in another order."""
    api = Api(app.test_client(), contract).registered()
    created = [api.task(title=title, is_completed=i % 2 == 0) for i, title in enumerate(TITLES)]
    for task in created[::3] + created[5:1:-1]:
        api.expect(200, "PATCH", f"/tasks/{task['id']}", json={"description": "Changed"})
    return api


def _ascii_lower(text: str) -> str:
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), text)


def _in_order(tasks: Tasks, sort: str) -> Tasks:
    keys = {
        "created_at": lambda task: (task["id"],),
        "updated_at": lambda task: (datetime.fromisoformat(task["updated_at"]), task["id"]),
        "title": lambda task: (_ascii_lower(task["title"]), task["id"]),
    }
    return sorted(tasks, key=keys[sort.lstrip("-")], reverse=sort.startswith("-"))


def _cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def _refused(api: Api, name: str, query: Any) -> dict[str, Any]:
    problem = api.problem(400, "invalid_input", "GET", "/tasks", query_string=query)
    assert [error["pointer"] for error in problem["errors"]] == [name]
    return problem["errors"][0]


def test_a_new_account_has_an_empty_list(user: Api) -> None:
    response = user.send("GET", "/tasks")
    assert response.get_json() == {"tasks": [], "total": 0, "next_cursor": None}
    assert "Link" not in response.headers


def test_a_list_is_newest_first(user: Api) -> None:
    created = [user.task(title=str(number)) for number in range(5)]
    user.expect(200, "PATCH", f"/tasks/{created[0]['id']}", json={"description": None})
    listed = user.expect(200, "GET", "/tasks")
    assert [task["id"] for task in listed["tasks"]] == [task["id"] for task in reversed(created)]
    assert listed["total"] == 5


def test_a_list_contains_only_the_callers_tasks(user: Api, stranger: Api) -> None:
    for person in (user, stranger, user, stranger, user):
        person.task()
    for person, count in ((user, 3), (stranger, 2)):
        listed = person.expect(200, "GET", "/tasks")
        assert {task["user_id"] for task in listed["tasks"]} == {person.user_id}
        assert (len(listed["tasks"]), listed["total"]) == (count, count)


@pytest.mark.parametrize("sort", EACH_SORT)
@pytest.mark.parametrize("is_completed", FILTERS, ids=str)
@pytest.mark.parametrize("limit", [1, 7])
def test_pages_contain_the_whole_list_in_order(
    owner: Api, sort: str, is_completed: bool | None, limit: int
) -> None:
    everything = owner.expect(200, "GET", "/tasks")["tasks"]
    wanted = [task for task in everything if is_completed in (None, task["is_completed"])]
    query: dict[str, Any] = {"sort": sort, "limit": limit}
    if is_completed is not None:
        query["is_completed"] = str(is_completed).lower()
    pages = list(owner.pages("/tasks", **query))
    assert [task for page in pages for task in page["tasks"]] == _in_order(wanted, sort)
    assert {page["total"] for page in pages} == {len(wanted)}
    assert [len(page["tasks"]) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]["tasks"]


def test_the_default_order_is_the_newest_first(owner: Api) -> None:
    by_default = owner.expect(200, "GET", "/tasks?limit=5")
    assert by_default == owner.expect(200, "GET", "/tasks?limit=5&sort=-created_at")


@pytest.mark.parametrize("sort", EACH_SORT)
def test_no_task_is_repeated_or_missed_during_concurrent_changes(user: Api, sort: str) -> None:
    titles = itertools.cycle("dDbBfFaAcC")
    tasks = [user.task(title=next(titles)) for _ in range(16)]
    doomed = [task["id"] for task in tasks[::4]]
    stays = {task["id"] for task in tasks} - set(doomed)
    seen: list[int] = []
    for page in user.pages("/tasks", sort=sort, limit=3):
        returned = [task["id"] for task in page["tasks"]]
        if not seen:
            doomed.append(returned[-1])  # the row of the cursor
        if doomed:
            user.send("DELETE", f"/tasks/{doomed.pop()}")
        user.task(title="dd")
        seen += returned
    assert len(seen) == len(set(seen))
    assert stays <= set(seen)


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (16, 16), (17, 17), (18, 17), (1000, 17)])
def test_only_a_page_before_the_last_has_a_cursor(user: Api, limit: int, count: int) -> None:
    for _ in range(17):
        user.task()
    page = user.expect(200, "GET", f"/tasks?limit={limit}")
    assert len(page["tasks"]) == count
    assert (page["next_cursor"] is None) == (count == 17)
    assert page["total"] == 17


def test_the_default_limit_is_a_thousand(user: Api, settings: Settings) -> None:
    world.sql(
        settings,
        "INSERT INTO tasks (workspace_id, user_id, title, version)"
        " SELECT %s, 1, 'Many', g FROM generate_series(1, 1001) AS g",
        user.user_id,
    )
    world.sql(
        settings,
        "UPDATE workspaces SET version = 1001, task_count = 1001 WHERE id = %s",
        user.user_id,
    )
    pages = list(user.pages("/tasks"))
    assert [len(page["tasks"]) for page in pages] == [1000, 1]
    assert pages[0] == user.expect(200, "GET", "/tasks?limit=1000")
    assert len({task["id"] for page in pages for task in page["tasks"]}) == 1001


@pytest.mark.parametrize("sort", EACH_SORT)
def test_the_link_has_the_cursor_and_the_query(owner: Api, sort: str) -> None:
    query = {"limit": "2", "sort": sort, "is_completed": "true"}
    response = owner.send("GET", "/tasks", query_string=query)
    cursor = response.get_json()["next_cursor"]
    link = re.fullmatch(r'<(/tasks\?.*)>; rel="next"', response.headers["Link"])
    assert link
    following = owner.send("GET", link[1])
    assert following.request.args.to_dict() == query | {"cursor": cursor}
    by_cursor = owner.expect(200, "GET", "/tasks", query_string=query | {"cursor": cursor})
    assert following.get_json() == by_cursor


def test_the_last_page_has_no_link(owner: Api) -> None:
    response = owner.send("GET", "/tasks", query_string={"limit": len(TITLES)})
    assert "Link" not in response.headers


LIMITS = ("0", "-1", "1001", "1e2", "1.0", "1_0", "%D9%A3", "+5", "%205", "", "05", "ten", "1,000")


@pytest.mark.parametrize("limit", [*LIMITS, str(2**63), "9" * 30, "9" * 5_000])
def test_a_limit_out_of_range_returns_400(user: Api, limit: str) -> None:
    assert _refused(user, "limit", f"limit={limit}")["code"] == "out_of_range"


@pytest.mark.parametrize("value", ["True", "TRUE", "1", "0", "yes", "", "null", "true%20"])
def test_is_completed_accepts_only_true_and_false(user: Api, value: str) -> None:
    assert _refused(user, "is_completed", f"is_completed={value}")["code"] == "not_a_boolean"


@pytest.mark.parametrize("value", ["", "id", "--title", "+title", "Title", "title,created_at"])
def test_an_unknown_sort_returns_400(user: Api, value: str) -> None:
    assert _refused(user, "sort", {"sort": value})["code"] == "not_a_choice"


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [
        ("page=2", "page", "unknown_field"),
        ("Limit=5", "Limit", "unknown_field"),
        ("limit%00=5", "limit\0", "invalid_text"),
        ("offset", "offset", "unknown_field"),
        ("limit=1&limit=2", "limit", "repeated"),
        ("limit=1&limit=1", "limit", "repeated"),
        ("cursor=&cursor=", "cursor", "repeated"),
    ],
)
def test_an_unknown_or_repeated_parameter_returns_400(
    user: Api, query: str, name: str, code: str
) -> None:
    assert _refused(user, name, query)["code"] == code


def test_all_invalid_parameters_are_reported(user: Api) -> None:
    query = "limit=0&sort=id&is_completed=2&page=1"
    problem = user.problem(400, "invalid_input", "GET", f"/tasks?{query}")
    named = {error["pointer"] for error in problem["errors"]}
    assert named == {"limit", "sort", "is_completed", "page"}


@pytest.mark.parametrize("made_for", EACH_SORT)
def test_a_cursor_is_valid_only_for_its_own_order(owner: Api, made_for: str) -> None:
    page = owner.expect(200, "GET", f"/tasks?limit=2&sort={made_for}")
    for used_for in set(EACH_SORT) - {made_for}:
        _refused(owner, "cursor", {"sort": used_for, "cursor": page["next_cursor"]})


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%",
        "====",
        "\0",
        "é",
        "🌱",
        "null",
        "A" * 5_000,
        "bm90IEpTT04",
        _cursor(),
        _cursor("title"),
        _cursor("title", "a", 1, 2),
        _cursor("title", None, 1),
        _cursor("title", 1, 1),
        _cursor("title", ["a"], 1),
        _cursor("title", "a\0b", 1),
        _cursor("title", "\ud800", 1),
        _cursor("title", "a", "1"),
        _cursor("title", "a", 1.0),
        _cursor("title", "a", True),
        _cursor("title", "a", None),
        _cursor("title", "a", 0),
        _cursor("title", "a", -1),
        _cursor("title", "a", 2**53),
        _cursor("title", "a", 2**64),
        _cursor("TITLE", "a", 1),
        base64.urlsafe_b64encode(b'"title"').decode(),
        base64.urlsafe_b64encode(b'{"title": 1, "a": 2, "b": 3}').decode(),
        base64.urlsafe_b64encode(b"[" * 1_500).decode(),
        base64.urlsafe_b64encode(b'["title", "\xff", 1]').decode(),
    ],
    ids=lambda cursor: ascii(cursor)[:30],
)
def test_a_made_up_cursor_returns_400(user: Api, cursor: str) -> None:
    _refused(user, "cursor", {"sort": "title", "cursor": cursor})


@pytest.mark.parametrize(
    "moment",
    [None, 1, "", "yesterday", "2026-01-05", "2026-01-05T09:30:00", "2026-13-05T00:00:00Z"],
    ids=str,
)
def test_a_cursor_of_times_needs_a_time(user: Api, moment: Any) -> None:
    query = {"sort": "updated_at", "cursor": _cursor("updated_at", moment, 1)}
    assert _refused(user, "cursor", query)["code"] == "invalid_cursor"


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999-12:00",
        "2026-01-05T09:30:00+23:59",
    ],
)
def test_a_cursor_with_any_time_is_a_position_in_the_list(user: Api, moment: str) -> None:
    task = user.task()
    query = {"sort": "updated_at", "cursor": _cursor("updated_at", moment, 1)}
    expected = [] if moment.startswith("9") else [task]
    assert user.expect(200, "GET", "/tasks", query_string=query)["tasks"] == expected


def test_a_tampered_cursor_returns_400_or_the_callers_tasks(owner: Api, user: Api) -> None:
    mine = [user.task(title=title) for title in ("a", "b", "c")]
    cursor = owner.expect(200, "GET", "/tasks?limit=5&sort=title")["next_cursor"]
    assert cursor
    for place in range(len(cursor)):
        tampered = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        response = user.send("GET", "/tasks", query_string={"sort": "title", "cursor": tampered})
        if response.status_code == 200:
            assert all(task in mine for task in response.get_json()["tasks"])
        else:
            assert response.get_json()["errors"][0]["pointer"] == "cursor"


def test_another_users_cursor_returns_the_callers_tasks(owner: Api, user: Api) -> None:
    task = user.task()
    page = owner.expect(200, "GET", "/tasks?limit=2&sort=created_at")
    query = {"sort": "created_at", "cursor": page["next_cursor"]}
    assert user.expect(200, "GET", "/tasks", query_string=query)["tasks"] == [task]


def test_totals_follow_each_change(user: Api, settings: Settings) -> None:
    def totals() -> list[int]:
        urls = ("/tasks", "/tasks?is_completed=true", "/tasks?is_completed=false")
        counted = world.sql(
            settings,
            "SELECT task_count, completed_task_count,"
            " (SELECT count(*) FROM tasks WHERE workspace_id = workspaces.id),"
            " (SELECT count(*) FROM tasks WHERE workspace_id = workspaces.id AND is_completed)"
            " FROM workspaces WHERE id = %s",
            user.user_id,
        )[0]
        assert counted[:2] == counted[2:]
        returned = [user.expect(200, "GET", address)["total"] for address in urls]
        assert tuple(returned[:2]) == counted[:2]
        return returned

    assert totals() == [0, 0, 0]
    first, second = user.task(), user.task(is_completed=True)
    assert totals() == [2, 1, 1]
    for method, task, is_completed, expected in (
        ("PATCH", first, True, [2, 2, 0]),
        ("PUT", first, True, [2, 2, 0]),
        ("PUT", first, False, [2, 1, 1]),
        ("PATCH", second, False, [2, 0, 2]),
        ("PATCH", second, True, [2, 1, 1]),
    ):
        body = {"is_completed": is_completed}
        user.expect(200, method, f"/tasks/{task['id']}", json=body)
        assert totals() == expected
    user.expect(200, "PATCH", f"/tasks/{second['id']}", json={"title": "Only the title"})
    assert totals() == [2, 1, 1]
    user.expect(204, "DELETE", f"/tasks/{second['id']}")
    assert totals() == [1, 0, 1]
    user.problem(404, "not_found", "DELETE", f"/tasks/{second['id']}")
    assert totals() == [1, 0, 1]
    user.expect(204, "DELETE", f"/tasks/{first['id']}")
    assert totals() == [0, 0, 0]
