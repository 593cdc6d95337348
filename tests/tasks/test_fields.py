"""The whole numbers, due, start and completion of a task: input, output and order.

A new field with a range of whole numbers is covered without a change.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.api import Api
from support.numbers import NUMBERS, SORTED, Number

DATE = {"date": "2026-12-24"}
TIME = {"datetime": "2026-12-24T18:00:00", "timezone": "Europe/Berlin"}
SHOWN = TIME | {"at": "2026-12-24T17:00:00Z"}

GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *[({number.name: value}, {}) for number in NUMBERS for value in number.valid()],
    ({"due": DATE}, {}),
    ({"due": TIME}, {"due": SHOWN}),
    ({"due": SHOWN}, {"due": SHOWN}),
    ({"due": TIME | {"datetime": "2026-12-24T17:00:00Z"}}, {"due": SHOWN}),
    ({"due": None}, {}),
    ({"start": DATE, "due": TIME}, {"due": SHOWN}),
    ({"start": TIME}, {"start": SHOWN}),
]
BAD: list[tuple[dict[str, Any], str, str]] = [
    *[
        (
            {number.name: value},
            f"/{number.name}",
            "wrong_type" if isinstance(value, str) else "out_of_range",
        )
        for number in NUMBERS
        for value in number.invalid()
    ],
    ({"due": "2026-12-24"}, "/due", "not_an_object"),
    ({"due": {}}, "/due", "not_a_due"),
    ({"due": DATE | TIME}, "/due", "not_a_due"),
    ({"due": {"date": "2026-02-29"}}, "/due/date", "not_a_date"),
    ({"due": {"date": "1969-12-31"}}, "/due/date", "out_of_range"),
    ({"due": {"datetime": TIME["datetime"]}}, "/due/timezone", "required"),
    ({"due": TIME | {"timezone": "Mars/Olympus"}}, "/due/timezone", "not_a_zone"),
    ({"due": DATE | {"note": "x"}}, "/due/note", "unknown_field"),
    ({"start": {"date": "2026-12-25"}, "due": DATE}, "/start", "after_due"),
]
DUES = (
    None,
    {"date": "2026-03-02"},
    {"datetime": "2026-03-01T09:00:00", "timezone": "Asia/Tokyo"},
    {"date": "2026-03-01"},
    None,
    {"datetime": "2026-03-01T23:59:59", "timezone": "America/New_York"},
    {"date": "2199-12-31"},
)
IN_ORDER_OF_DUES = [2, 5, 3, 1, 6, 0, 4]
"""By local time; a date sorts at the end of its day."""


@pytest.mark.parametrize(("given", "expected"), GOOD, ids=str)
def test_a_field_returns_its_value(
    user: Api, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    added = user.task(**given)
    assert added == added | given | expected
    address = f"/tasks/{user.task()['id']}"
    for method in ("PUT", "PATCH"):
        changed = user.expect(200, method, address, json=given)
        assert changed == changed | given | expected
    assert user.expect(200, "GET", address) == changed


def test_fields_without_a_value_are_null(user: Api) -> None:
    task = user.task()
    nothing = dict.fromkeys(("due", "start", "parent_id", "completed_at"))
    assert task == task | nothing | {number.name: number.default for number in NUMBERS}


def test_null_removes_a_time_and_missing_fields_stay(user: Api) -> None:
    task = user.task(due=TIME, start=DATE, priority=2, estimate_minutes=30)
    changed = user.expect(200, "PATCH", f"/tasks/{task['id']}", json={"due": None})
    moved = {name: changed[name] for name in ("version", "updated_at")}
    assert changed == task | {"due": None} | moved


@pytest.mark.parametrize(("given", "pointer", "code"), BAD, ids=str)
def test_an_invalid_value_is_reported_with_its_pointer(
    user: Api, given: dict[str, Any], pointer: str, code: str
) -> None:
    task = user.task()
    for method, path in (("POST", "/tasks"), ("PATCH", f"/tasks/{task['id']}")):
        problem = user.problem(400, "invalid_input", method, path, json={"title": "a"} | given)
        assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
            (pointer, code)
        ]
    assert user.expect(200, "GET", "/tasks")["tasks"] == [task]


def test_completed_at_is_set_while_the_task_is_completed(user: Api) -> None:
    task = user.task(is_completed=True)
    assert task["completed_at"] == task["created_at"]
    address = f"/tasks/{task['id']}"
    again = user.expect(200, "PATCH", address, json={"is_completed": True, "title": "b"})
    assert again["completed_at"] == task["completed_at"]
    assert (
        user.expect(200, "PATCH", address, json={"title": "c"})["completed_at"]
        == (task["completed_at"])
    )
    assert user.expect(200, "PATCH", address, json={"is_completed": False})["completed_at"] is None
    later = user.expect(200, "PATCH", address, json={"is_completed": True})
    assert later["completed_at"] == later["updated_at"] > task["completed_at"]


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("is_completed", [None, True, False], ids=str)
@pytest.mark.parametrize("sign", ["", "-"], ids=["up", "down"])
def test_tasks_are_sorted_by_due(
    user: Api, sign: str, is_completed: bool | None, limit: int
) -> None:
    added = [user.task(due=due, is_completed=n % 3 == 0) for n, due in enumerate(DUES)]
    order = IN_ORDER_OF_DUES if not sign else IN_ORDER_OF_DUES[::-1]
    wanted = [added[n]["id"] for n in order if is_completed in (None, n % 3 == 0)]
    assert _ids(user, f"{sign}due", is_completed, limit) == wanted


def test_priority_and_estimate_are_numbers_and_priority_sorts() -> None:
    assert {"priority", "estimate_minutes"} <= {number.name for number in NUMBERS}
    assert "priority" in {number.name for number in SORTED}


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("is_completed", [None, True, False], ids=str)
@pytest.mark.parametrize("sign", ["", "-"], ids=["up", "down"])
@pytest.mark.parametrize("number", SORTED, ids=lambda number: number.name)
def test_tasks_are_sorted_by_a_number_and_null_is_the_greatest(
    user: Api, number: Number, sign: str, is_completed: bool | None, limit: int
) -> None:
    values = random.Random(1).choices(number.few(), k=12)
    added = [
        user.task(**{number.name: value}, is_completed=n % 3 == 0) for n, value in enumerate(values)
    ]

    def key(task: dict[str, Any]) -> tuple[int, int]:
        value = task[number.name]
        return number.most + 1 if value is None else value, task["id"]

    added.sort(key=key, reverse=bool(sign))
    wanted = [task["id"] for task in added if is_completed in (None, task["is_completed"])]
    assert _ids(user, f"{sign}{number.name}", is_completed, limit) == wanted


def _ids(user: Api, sort: str, is_completed: bool | None, limit: int) -> list[int]:
    query: dict[str, Any] = {"sort": sort, "limit": limit}
    query |= {} if is_completed is None else {"is_completed": str(is_completed).lower()}
    return [task["id"] for page in user.pages("/tasks", **query) for task in page["tasks"]]
