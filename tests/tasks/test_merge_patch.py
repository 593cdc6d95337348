"""PATCH merges objects (RFC 7396); null restores a default."""

from __future__ import annotations

from typing import Any

import pytest
from support.api import Api

TIMED = {"datetime": "2150-01-05T18:00:00", "timezone": "Asia/Tokyo"}
DAY = {"date": "2150-01-05"}
RECURRENCE = {"rrule": "FREQ=DAILY", "anchor": "completion", "timezone": "Asia/Tokyo"}


def patched(user: Api, task: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = user.expect(200, "PATCH", f"/tasks/{task['id']}", json=changes)
    return found


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (TIMED, {"datetime": "2150-01-06T09:00"}, {"datetime": "2150-01-06T09:00:00"}),
        (TIMED, {"datetime": "2150-01-06T00:00:00Z"}, {"datetime": "2150-01-06T09:00:00"}),
        (TIMED, {"timezone": "Europe/Berlin"}, {"timezone": "Europe/Berlin"}),
        (TIMED, {"timezone": "UTC", "at": 1, "date": None}, {"timezone": "UTC"}),
        (TIMED, {}, {}),
        (DAY, {}, {}),
    ],
)
@pytest.mark.parametrize("name", ["due", "start"])
def test_omitted_members_of_a_due_stay(
    user: Api, name: str, before: dict[str, str], change: dict[str, Any], after: dict[str, str]
) -> None:
    found = patched(user, user.task(**{name: before}), **{name: change})[name]
    found.pop("at", None)
    assert found == before | after


@pytest.mark.parametrize(("before", "change"), [(TIMED, DAY), (DAY, TIMED), (None, TIMED)])
def test_a_date_replaces_a_time_and_a_time_a_date(user: Api, before: Any, change: Any) -> None:
    due = patched(user, user.task(due=before), due=change)["due"]
    assert {name: due[name] for name in change} == change
    assert ("date" in due) != ("datetime" in due)


@pytest.mark.parametrize(
    ("before", "change", "pointer", "code"),
    [
        (None, {"datetime": "2150-01-06T09:00"}, "/due/timezone", "required"),
        (DAY, {"datetime": "2150-01-06T09:00"}, "/due/timezone", "required"),
        (DAY, {"timezone": "UTC"}, "/due/timezone", "not_together"),
        (DAY, {"date": None}, "/due", "not_a_due"),
        (TIMED, {"timezone": None}, "/due/timezone", "required"),
        (TIMED, {"datetime": "soon"}, "/due/datetime", "not_a_time"),
        (TIMED, {"datetime": "2150-01-06T09:00", "day": 1}, "/due/day", "unknown_field"),
        (TIMED, DAY | TIMED, "/due", "not_a_due"),
        (TIMED, "tomorrow", "/due", "not_an_object"),
    ],
)
def test_a_patch_that_leaves_no_valid_due_returns_400(
    user: Api, before: Any, change: Any, pointer: str, code: str
) -> None:
    task = user.task(due=before)
    path = f"/tasks/{task['id']}"
    problem = user.problem(400, "invalid_input", "PATCH", path, json={"due": change})
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]
    assert user.expect(200, "GET", path) == task


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({"rrule": "FREQ=WEEKLY"}, {"rrule": "FREQ=WEEKLY"}),
        ({"anchor": "due"}, {"anchor": "due"}),
        ({"anchor": None}, {"anchor": "due"}),
        ({"timezone": "UTC"}, {"timezone": "UTC"}),
        ({"timezone": None}, {"timezone": "Europe/Berlin"}),
    ],
)
def test_omitted_members_of_a_recurrence_stay(user: Api, change: Any, after: Any) -> None:
    due = TIMED | {"timezone": "Europe/Berlin"}
    task = user.task(due=due, recurrence=RECURRENCE)
    found = patched(user, task, recurrence=change)["recurrence"]
    assert found == RECURRENCE | after | {"occurred": None}


def test_a_patch_of_no_recurrence_adds_one(user: Api) -> None:
    task = user.task(due=DAY)
    added = patched(user, task, recurrence={"rrule": "FREQ=DAILY"})["recurrence"]
    assert (added["anchor"], added["timezone"]) == ("due", "UTC")
    other = f"/tasks/{user.task(due=DAY)['id']}"
    body = {"recurrence": {"anchor": "completion"}}
    problem = user.problem(400, "invalid_input", "PATCH", other, json=body)
    assert problem["errors"][0]["pointer"] == "/recurrence/rrule"


def test_put_replaces_an_object_whole(user: Api) -> None:
    task = user.task(due=TIMED, recurrence=RECURRENCE)
    path = f"/tasks/{task['id']}"
    body = {"recurrence": {"rrule": "FREQ=WEEKLY"}, "due": DAY}
    changed = user.expect(200, "PUT", path, json=body)
    whole = {"rrule": "FREQ=WEEKLY", "anchor": "due", "timezone": "UTC", "occurred": None}
    assert (changed["recurrence"], changed["due"]) == (whole, DAY)
    body = {"due": {"datetime": "2150-01-06T09:00"}}
    problem = user.problem(400, "invalid_input", "PUT", path, json=body)
    assert problem["errors"][0]["pointer"] == "/due/timezone"


def test_a_partial_patch_checks_the_version_and_the_owner(user: Api, stranger: Api) -> None:
    task = user.task(due=TIMED)
    path, body = f"/tasks/{task['id']}", {"due": {"timezone": "UTC"}}
    stale = {"If-Match": f'"{task["version"] - 1}"'}
    user.problem(412, "precondition_failed", "PATCH", path, json=body, headers=stale)
    stranger.problem(403, "forbidden", "PATCH", path, json=body)
    assert user.expect(200, "GET", path) == task


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_null_restores_the_default(user: Api, method: str) -> None:
    garden = user.expect(201, "POST", "/lists", json={"name": "Garden", "is_archived": None})
    label = user.label()
    task = user.task(list_id=garden["id"], priority=4, label_ids=[label["id"]], due=TIMED)
    path = f"/tasks/{task['id']}"
    nothing = dict.fromkeys(("list_id", "priority", "label_ids", "due", "start", "parent_id"))
    changed = user.expect(200, method, path, json=nothing)
    default = {"list_id": user.user_id, "priority": 0, "label_ids": [], "due": None}
    assert changed == changed | default
    for name in ("title", "is_completed"):
        problem = user.problem(400, "invalid_input", method, path, json={name: None})
        assert [error["code"] for error in problem["errors"]] == ["null"]
    archived = user.expect(200, method, f"/lists/{garden['id']}", json={"is_archived": True})
    assert archived["is_archived"]
    shown = user.expect(200, method, f"/lists/{garden['id']}", json={"is_archived": None})
    assert not shown["is_archived"]


def test_null_in_a_new_resource_means_that_a_field_is_not_given(user: Api) -> None:
    given = {"title": "Typed", "due": {"date": "2150-01-05", "datetime": None, "timezone": None}}
    names = set(user.task()) - {"id", *given}
    task = user.task(**dict.fromkeys(names), **given)
    plain = user.task(**given)
    moved = ("id", "position", "version", "created_at", "updated_at")
    assert task == plain | {name: task[name] for name in moved}
    problem = user.problem(400, "invalid_input", "POST", "/tasks", json={"title": None})
    assert problem["errors"][0]["pointer"] == "/title"
    recurrence = {"rrule": "FREQ=DAILY", "anchor": None, "timezone": None, "occurred": None}
    assert user.task(due=DAY, recurrence=recurrence)["recurrence"]["anchor"] == "due"


@pytest.mark.parametrize("number", ["3.0", "3", "30e-1", "0.3e1"])
def test_whole_numbers_may_be_written_with_a_point_or_an_exponent(user: Api, number: str) -> None:
    body = b'{"title": "a", "priority": ' + number.encode() + b"}"
    response = user.send("POST", "/tasks", data=body, content_type="application/json")
    assert response.get_json()["priority"] == 3


def test_a_byte_order_mark_is_skipped_and_utf8_is_utf_8(user: Api) -> None:
    body = b'\xef\xbb\xbf{"title": "caf\xc3\xa9"}'
    sent = {"data": body, "content_type": "application/json; charset=utf8"}
    assert user.expect(201, "POST", "/tasks", **sent)["title"] == "café"


def test_a_start_after_the_due_returns_400(user: Api) -> None:
    late, day = {"date": "2150-01-06"}, TIMED | {"timezone": "UTC"}
    task = user.task(due=day)
    path = f"/tasks/{task['id']}"
    for method, where, body in (
        ("POST", "/tasks", {"title": "a", "due": DAY, "start": late}),
        ("PATCH", path, {"start": late}),
        ("PUT", path, {"start": TIMED | {"datetime": "2150-01-06T04:00:00"}}),
    ):
        problem = user.problem(400, "invalid_input", method, where, json=body)
        assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [("/start", "after_due")]
    assert user.expect(200, "GET", path) == task
    started = patched(user, task, start=TIMED)
    problem = user.problem(
        400, "invalid_input", "PATCH", path, json={"due": {"date": "2150-01-04"}}
    )
    assert problem["errors"][0]["code"] == "after_due"
    moved = patched(user, started, start=late, due={"date": "2150-01-06"})
    assert (moved["start"], moved["due"]) == (late, late)
