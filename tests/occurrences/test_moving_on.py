"""A recurring task moves on: by a checkbox, with its dates and subtasks, and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from support import world
from support.api import Api

from config import Settings

FAR = {"date": "2150-01-05"}
WEEKLY = {"rrule": "FREQ=WEEKLY;COUNT=3"}
INSTANT = "2026-11-20T10:00:00.250000Z"


def act(user: Api, task: dict[str, Any], verb: str, **body: Any) -> dict[str, Any]:
    path = f"/tasks/{task['id']}/{verb}"
    found: dict[str, Any] = user.expect(200, "POST", path, json=body)
    return found


def got(user: Api, task: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = user.expect(200, "GET", f"/tasks/{task['id']}")
    return found


def history(user: Api, task: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = user.expect(200, "GET", f"/tasks/{task['id']}/occurrences")[
        "occurrences"
    ]
    return found


def day(days: int) -> dict[str, str]:
    return {"date": (datetime.now(UTC).date() + timedelta(days)).isoformat()}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_is_completed_completes_the_current_occurrence(user: Api, method: str) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY, title="Old")
    path, body = f"/tasks/{task['id']}", {"is_completed": True, "title": "New"}
    moved = user.expect(200, method, path, json=body)
    assert (moved["title"], moved["is_completed"], moved["completed_at"]) == ("New", False, None)
    assert (moved["due"], moved["recurrence"]["occurred"]) == ({"date": "2150-01-12"}, 2)
    assert [past["due"] for past in history(user, task)] == [FAR]
    for _ in range(2):
        moved = user.expect(200, method, path, json={"is_completed": True})
    assert moved["is_completed"]
    assert len(history(user, task)) == 3
    again = user.expect(200, method, path, json={"is_completed": True})
    assert again["completed_at"] == moved["completed_at"]
    assert len(history(user, task)) == 3
    undone = act(user, task, "undo")["task"]
    assert (undone["is_completed"], undone["due"]) == (False, {"date": "2150-01-19"})


def test_is_completed_with_if_match_completes_an_occurrence_once(user: Api) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    sent = {"json": {"is_completed": True}, "headers": {"If-Match": f'"{task["version"]}"'}}
    user.expect(200, "PATCH", f"/tasks/{task['id']}", **sent)
    user.problem(412, "precondition_failed", "PATCH", f"/tasks/{task['id']}", **sent)
    assert len(history(user, task)) == 1


def test_other_changes_apply_to_the_occurrence_that_is_completed(user: Api) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    body = {"is_completed": True, "due": {"date": "2150-01-06"}}
    moved = user.expect(200, "PATCH", f"/tasks/{task['id']}", json=body)
    assert moved["due"] == {"date": "2150-01-13"}
    assert history(user, task)[0]["due"] == {"date": "2150-01-06"}


def test_completed_at_can_be_set_with_is_completed(user: Api) -> None:
    done = user.task(is_completed=True, completed_at=INSTANT)
    assert done["completed_at"] == INSTANT
    task = user.task(completed_at=INSTANT)
    path = f"/tasks/{task['id']}"
    assert task["completed_at"] is None
    ignored = {"is_completed": False, "completed_at": INSTANT}
    assert user.expect(200, "PATCH", path, json=ignored)["completed_at"] is None
    child = user.task(parent_id=task["id"])
    given = {"is_completed": True, "completed_at": INSTANT}
    assert user.expect(200, "PATCH", path, json=given)["completed_at"] == INSTANT
    assert got(user, child)["completed_at"] == INSTANT
    whole = got(user, task)
    assert user.expect(200, "PUT", path, json=whole)["completed_at"] == INSTANT
    problem = user.problem(400, "invalid_input", "PATCH", path, json={"completed_at": "now"})
    assert problem["errors"][0]["code"] == "not_an_instant"


def test_complete_takes_a_time_and_what_was_missed(user: Api) -> None:
    task = user.task()
    assert act(user, task, "complete", completed_at=INSTANT)["task"]["completed_at"] == INSTANT
    daily = {"rrule": "FREQ=DAILY;INTERVAL=3", "anchor": "completion"}
    late = user.task(due=day(-10), recurrence=daily)
    assert act(user, late, "complete", completed_at=INSTANT)["next"] == {"date": "2026-11-23"}
    missed = user.task(due=day(-10), recurrence={"rrule": "FREQ=DAILY"})
    assert act(user, missed, "complete", keep_missed=True)["next"] == day(-9)


def test_the_history_has_the_time_at_which_an_occurrence_was_completed(user: Api) -> None:
    task = user.task(due=day(-10), recurrence={"rrule": "FREQ=DAILY"})
    assert (
        act(user, task, "complete", completed_at=INSTANT)["occurrence"]["completed_at"] == INSTANT
    )
    now = act(user, task, "complete")["occurrence"]
    assert now["completed_at"] == now["created_at"] > INSTANT
    assert act(user, task, "skip")["occurrence"]["completed_at"] is None
    times = [one["completed_at"] for one in history(user, task)]
    assert times == [None, now["completed_at"], INSTANT]
    parent = user.task()
    child = user.task(parent_id=parent["id"], due=FAR, recurrence=WEEKLY)
    act(user, parent, "complete", completed_at=INSTANT)
    assert history(user, child)[0]["completed_at"] == INSTANT


def test_an_occurrence_without_a_completion_time_was_completed_when_it_was_created(
    user: Api, settings: Settings
) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    act(user, task, "complete")
    world.sql(settings, "UPDATE occurrences SET completed_at = NULL")
    (found,) = history(user, task)
    assert found["completed_at"] == found["created_at"]


def test_a_completion_time_is_at_most_a_day_in_the_future(user: Api) -> None:
    now = datetime.now(UTC)
    soon, late = (f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (23, 25))
    path = f"/tasks/{user.task()['id']}"
    body = {"is_completed": True, "completed_at": late}
    for method, where, sent in (
        ("POST", f"{path}/complete", {"completed_at": late}),
        ("PATCH", path, body),
        ("PUT", path, {"title": "a"} | body),
        ("POST", "/tasks", {"title": "a"} | body),
    ):
        problem = user.problem(400, "invalid_input", method, where, json=sent)
        assert problem["detail"] == "completed_at: Must not be more than a day in the future."
        assert problem["errors"][0]["code"] == "out_of_range"
    user.expect(200, "POST", f"{path}/complete", json={"completed_at": soon})


def test_dates_never_leave_the_supported_years(user: Api) -> None:
    daily = {"rrule": "FREQ=DAILY", "anchor": "completion"}
    last = {"date": "2199-12-01"}
    task = user.task(start={"date": "1970-01-01"}, due=last, recurrence=daily)
    child = user.task(parent_id=task["id"], due={"date": "1970-01-05"})
    for _ in range(10):
        act(user, task, "complete", completed_at="1970-01-01T00:00:00Z")
        assert got(user, task)["start"] == {"date": "1970-01-01"}
        assert got(user, child)["due"] == {"date": "1970-01-05"}
        user.expect(200, "PATCH", f"/tasks/{task['id']}", json={"due": last})


def test_a_start_that_would_be_after_the_due_becomes_the_due(user: Api) -> None:
    first, daily = {"date": "2150-01-01"}, {"rrule": "FREQ=DAILY"}
    task = user.task(due=first, recurrence=daily)
    path = f"/tasks/{task['id']}"
    act(user, task, "complete")
    later = {"due": {"date": "2150-02-01"}, "start": {"date": "2150-01-20"}}
    user.expect(200, "PATCH", path, json=later)
    undone = act(user, task, "undo")["task"]
    assert (undone["start"], undone["due"]) == (first, first)
    user.expect(200, "PATCH", path, json={"start": undone["start"]})

    def at(hour: int, zone: str) -> dict[str, str]:
        return {"datetime": f"2026-10-24T{hour}:00:00", "timezone": zone}

    # In Berlin, daylight saving time ends in the night after that day.
    task = user.task(due=at(18, "UTC"), start=at(20, "Europe/Berlin"), recurrence=daily)
    moved = act(user, task, "complete", completed_at="2026-10-24T10:00:00Z")["task"]
    assert moved["start"] == moved["due"]


def test_the_start_of_a_subtask_that_would_be_after_its_due_becomes_the_due(user: Api) -> None:
    monthly = {"rrule": "FREQ=MONTHLY"}
    parent = user.task(due={"date": "2150-01-01"}, recurrence=monthly)
    last = {"datetime": "2199-12-20T10:00:00", "timezone": "Europe/Berlin"}
    child = user.task(parent_id=parent["id"], due=last, start={"date": "2199-11-25"})
    act(user, parent, "complete")
    after = got(user, child)
    assert after["due"] == child["due"], "the next one would be in the year 2200"
    assert after["start"] == child["due"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/tasks/{id}/skip"),
        ("POST", "/tasks/{id}/undo"),
        ("DELETE", "/tasks/{id}"),
        ("POST", "/auth/logout"),
    ],
)
def test_a_body_where_none_is_expected_returns_400(user: Api, method: str, path: str) -> None:
    path = path.format(id=user.task(due=FAR, recurrence=WEEKLY)["id"])
    problem = user.problem(400, "invalid_input", method, path, json={"keep_missed": True})
    assert problem["errors"][0]["code"] == "unknown_field"
    user.problem(400, "malformed_body", method, path, data=b"{", content_type="application/json")
    user.problem(415, "unsupported_media_type", method, path, data={"keep_missed": "true"})
    large = {"keep_missed": "x" * 1_000_000}
    user.problem(413, "content_too_large", method, path, json=large)
    assert user.send(method, path, json={}).status_code != 400


def test_a_recurring_subtask_below_a_completed_parent_is_completed_for_good(user: Api) -> None:
    parent = user.task(title="Parent")
    child = user.task(parent_id=parent["id"], due=FAR, recurrence=WEEKLY)
    act(user, parent, "complete")
    assert got(user, child)["is_completed"]
    assert [past["due"] for past in history(user, child)] == [FAR]
    undone = act(user, child, "undo")["task"]
    assert (undone["is_completed"], undone["due"], history(user, child)) == (False, FAR, [])
    done = act(user, child, "complete")
    assert (done["task"]["is_completed"], done["task"]["due"], done["next"]) == (True, FAR, None)
    assert not act(user, child, "undo")["task"]["is_completed"]


def test_start_and_subtasks_move_with_the_due_and_back(user: Api) -> None:
    due = {"datetime": "2027-03-27T02:30:00", "timezone": "Europe/Berlin"}
    task = user.task(due=due, start={"date": "2027-03-20"}, recurrence={"rrule": "FREQ=DAILY"})
    child = user.task(parent_id=task["id"], due=due, start={"date": "2027-03-26"})
    low = user.task(parent_id=child["id"], due={"date": "2027-03-25"})
    plain = user.task(parent_id=task["id"])
    moved = act(user, task, "complete")["task"]
    assert moved["start"] == {"date": "2027-03-21"}
    # Daylight saving time skips that hour.
    later = due | {"datetime": "2027-03-28T02:30:00", "at": "2027-03-28T01:30:00Z"}
    assert (got(user, child)["due"], got(user, child)["start"]) == (later, {"date": "2027-03-27"})
    assert got(user, low)["due"] == {"date": "2027-03-26"}
    assert got(user, plain) == plain
    undone = act(user, task, "undo")["task"]
    assert (undone["due"], undone["start"]) == (task["due"], task["start"])
    for subtask in (child, low):
        after = got(user, subtask)
        assert (after["due"], after["start"]) == (subtask["due"], subtask["start"])


def test_what_was_just_completed_is_not_due_again(user: Api) -> None:
    friday = date(2150, 1, 2)
    assert friday.weekday() == 4
    for rule, following in (("FREQ=WEEKLY;BYDAY=FR", "2150-01-09"), ("FREQ=WEEKLY", "2026-11-27")):
        recurrence = {"rrule": rule, "anchor": "completion"}
        task = user.task(due={"date": friday.isoformat()}, recurrence=recurrence)
        assert act(user, task, "complete", completed_at=INSTANT)["next"] == {"date": following}


def test_skipping_counts_from_the_due(user: Api) -> None:
    task = user.task(due=FAR, recurrence={"rrule": "FREQ=WEEKLY", "anchor": "completion"})
    assert act(user, task, "skip")["next"] == {"date": "2150-01-12"}


def test_occurrences_that_the_end_of_the_series_left_out_are_counted(user: Api) -> None:
    until = day(-3)["date"].replace("-", "")
    task = user.task(due=day(-8), recurrence={"rrule": f"FREQ=DAILY;UNTIL={until}"})
    done = act(user, task, "complete")
    assert (done["next"], done["occurrence"]["missed"]) == (None, 5)
    counted = user.task(due=day(-8), recurrence={"rrule": "FREQ=DAILY;COUNT=3"})
    assert act(user, counted, "complete")["occurrence"]["missed"] == 2
