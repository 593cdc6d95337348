"""Recurring tasks: completing, skipping and undoing occurrences, and the history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from support.api import Api

FAR = {"date": "2150-01-05"}
"""A Monday so far in the future that no occurrence from then on has passed."""

WEEKLY = {"rrule": "FREQ=WEEKLY;COUNT=3"}


def _advance(user: Api, task_id: int, verb: str, **query: Any) -> dict[str, Any]:
    return dict(user.expect(200, "POST", f"/tasks/{task_id}/{verb}", query_string=query))


def _history(user: Api, task_id: int, **query: Any) -> dict[str, Any]:
    return dict(user.expect(200, "GET", f"/tasks/{task_id}/occurrences", query_string=query))


def _today() -> date:
    return datetime.now(UTC).date()


def _due(days: int) -> dict[str, str]:
    return {"date": (_today() + timedelta(days)).isoformat()}


def test_a_recurring_task_has_its_recurrence(user: Api) -> None:
    due = {"datetime": "2150-01-05T09:00:00", "timezone": "Europe/Berlin"}
    task = user.task(due=due, recurrence={"rrule": "FREQ=DAILY"})
    expected = {
        "rrule": "FREQ=DAILY",
        "anchor": "due",
        "timezone": "Europe/Berlin",
        "occurred": None,
    }
    assert task["recurrence"] == expected
    assert user.task(due=FAR, recurrence=WEEKLY)["recurrence"]["timezone"] == "UTC"
    whole = {"rrule": "FREQ=DAILY", "anchor": "completion", "timezone": "Asia/Tokyo"}
    assert user.task(due=due, recurrence=whole)["recurrence"] == whole | {"occurred": None}
    again = user.expect(200, "PUT", f"/tasks/{task['id']}", json=task)
    assert again["recurrence"] == expected
    gone = user.expect(200, "PATCH", f"/tasks/{task['id']}", json={"recurrence": None})
    assert (gone["recurrence"], gone["due"]) == (None, task["due"])


def test_completing_returns_the_occurrence_and_the_next_due(user: Api) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    step = _advance(user, task["id"], "complete")
    following = {"date": "2150-01-12"}
    assert step["next"] == step["task"]["due"] == following
    assert step["task"]["recurrence"] == task["recurrence"] | {"occurred": 2}
    assert not step["task"]["is_completed"]
    over = step["occurrence"]
    expected = {"outcome": "completed", "due": FAR, "missed": 0, "task_id": task["id"]}
    assert over == over | expected | {"user_id": user.user_id}
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == step["task"]
    history = {"occurrences": [over], "total": 1, "next_cursor": None}
    assert _history(user, task["id"]) == history


def test_after_the_last_occurrence_the_task_is_completed(user: Api) -> None:
    task_id = user.task(due=FAR, recurrence=WEEKLY)["id"]
    following = [_advance(user, task_id, "complete")["next"]["date"] for _ in range(2)]
    dues = [FAR["date"], *following]
    last = _advance(user, task_id, "complete")
    assert last["next"] is None
    assert last["task"]["is_completed"]
    assert last["task"]["due"] == {"date": dues[-1]}
    history = _history(user, task_id)["occurrences"]
    assert [over["due"]["date"] for over in history] == dues[::-1]
    again = _advance(user, task_id, "complete")
    assert (again["task"], again["occurrence"]) == (last["task"], None)
    user.problem(409, "not_recurring", "POST", f"/tasks/{task_id}/skip")


def test_a_task_without_recurrence_is_completed(user: Api) -> None:
    parent = user.task()
    child = user.task(parent_id=parent["id"])
    step = _advance(user, parent["id"], "complete")
    assert step["task"]["is_completed"]
    assert (step["occurrence"], step["next"]) == (None, None)
    assert user.expect(200, "GET", f"/tasks/{child['id']}")["is_completed"]
    assert _advance(user, parent["id"], "complete")["task"] == step["task"]
    user.problem(409, "not_recurring", "POST", f"/tasks/{parent['id']}/skip")
    user.problem(409, "nothing_to_undo", "POST", f"/tasks/{parent['id']}/undo")


def test_skipping_advances_like_completing(user: Api) -> None:
    task_id = user.task(due=FAR, recurrence=WEEKLY)["id"]
    step = _advance(user, task_id, "skip")
    assert step["occurrence"]["outcome"] == "skipped"
    assert step["next"] == {"date": "2150-01-12"}
    _advance(user, task_id, "skip")
    assert _advance(user, task_id, "skip")["task"]["is_completed"], "a skipped one counts"


@pytest.mark.parametrize("verb", ["complete", "skip"])
def test_undo_restores_the_previous_occurrence(user: Api, verb: str) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    states = [task, *(_advance(user, task["id"], verb)["task"] for _ in range(3))]
    for before in states[-2::-1]:
        step = _advance(user, task["id"], "undo")
        moved = {name: step["task"][name] for name in ("version", "updated_at")}
        assert step["task"] == before | moved
        assert step["next"] == step["occurrence"]["due"] == before["due"]
    user.problem(409, "nothing_to_undo", "POST", f"/tasks/{task['id']}/undo")
    assert _history(user, task["id"])["total"] == 0
    assert user.expect(200, "GET", "/tasks?is_completed=false")["total"] == 1


def test_missed_occurrences_are_left_out_unless_kept(user: Api) -> None:
    values = {"due": _due(-10), "recurrence": {"rrule": "FREQ=DAILY"}}
    left_out = _advance(user, user.task(**values)["id"], "complete")
    assert left_out["next"] in (_due(0), _due(1)), "midnight may have passed"
    assert left_out["occurrence"]["missed"] in (9, 10)
    with_missed = _advance(user, user.task(**values)["id"], "complete", keep_missed="true")
    assert with_missed["next"] == {
        "date": (date.fromisoformat(values["due"]["date"]) + timedelta(1)).isoformat()
    }
    assert with_missed["occurrence"]["missed"] == 0


def test_with_the_anchor_completion_the_next_due_follows_the_completion(user: Api) -> None:
    recurrence = {"rrule": "FREQ=DAILY;INTERVAL=3", "anchor": "completion"}
    for days in (-10, 10):
        task = user.task(due=_due(days), recurrence=recurrence)
        assert _advance(user, task["id"], "complete")["next"] in (_due(3), _due(2))


def test_local_times_stay_the_same_when_daylight_saving_changes(user: Api) -> None:
    due = {"datetime": "2027-03-27T09:00:00", "timezone": "Europe/Berlin"}
    task = user.task(due=due, recurrence={"rrule": "FREQ=DAILY"})
    assert task["due"]["at"] == "2027-03-27T08:00:00Z"
    following = _advance(user, task["id"], "complete")["next"]
    assert following == due | {"datetime": "2027-03-28T09:00:00", "at": "2027-03-28T07:00:00Z"}


def test_subtasks_are_reopened_for_the_next_occurrence(user: Api) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    child = user.task(parent_id=task["id"], is_completed=True)
    low = user.task(parent_id=child["id"], is_completed=True)
    _advance(user, task["id"], "complete")
    for task_id in (child["id"], low["id"]):
        assert not user.expect(200, "GET", f"/tasks/{task_id}")["is_completed"]
    assert user.expect(200, "GET", "/tasks?is_completed=false")["total"] == 3
    for _ in range(2):
        _advance(user, task["id"], "complete")
    assert user.expect(200, "GET", "/tasks?is_completed=false")["total"] == 0, "it was the last"


def test_is_completed_without_a_recurrence_ends_the_series(user: Api) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    path = f"/tasks/{task['id']}"
    ended = user.expect(200, "PATCH", path, json={"is_completed": True, "recurrence": None})
    assert (ended["is_completed"], ended["due"], ended["recurrence"]) == (True, FAR, None)
    assert _history(user, task["id"])["total"] == 0


def test_a_changed_due_moves_the_following_occurrences_and_counts(user: Api) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    path = f"/tasks/{task['id']}"
    _advance(user, task["id"], "complete")
    moved = user.expect(200, "PATCH", path, json={"due": {"date": "2150-01-14"}})
    assert moved["recurrence"]["occurred"] == 2
    assert _advance(user, task["id"], "complete")["next"] == {"date": "2150-01-21"}
    new = user.expect(200, "PATCH", path, json={"recurrence": {"rrule": "FREQ=DAILY;COUNT=2"}})
    assert new["recurrence"]["occurred"] is None, "by a new rule nothing has occurred"


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no due": ({"recurrence": WEEKLY, "due": None}, "/due", "due_required"),
    "not a rule": ({"recurrence": {"rrule": "weekly"}}, "/recurrence/rrule", "not_a_rule"),
    "no rule": ({"recurrence": {}}, "/recurrence/rrule", "required"),
    "UNTIL of a date": (
        {"recurrence": {"rrule": "FREQ=DAILY;UNTIL=21500105T000000Z"}},
        "/recurrence/rrule",
        "until_type",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_recurrence_that_does_not_match_the_due_returns_400(user: Api, name: str) -> None:
    given, pointer, code = REFUSED[name]
    task = user.task(due=FAR)
    path = f"/tasks/{task['id']}"
    for method, address, body in (
        ("POST", "/tasks", {"title": "a", "due": FAR} | given),
        ("PATCH", path, given),
    ):
        (error,) = user.problem(400, "invalid_input", method, address, json=body)["errors"]
        assert (error["pointer"], error["code"]) == (pointer, code)
    assert user.expect(200, "GET", "/tasks")["tasks"] == [task]


def test_a_change_must_match_the_stored_fields(user: Api) -> None:
    timed = {"datetime": "2150-01-05T09:00:00", "timezone": "Europe/Berlin"}
    until = {"rrule": "FREQ=DAILY;UNTIL=21500205T090000Z"}
    task = user.task(due=timed, recurrence=until)
    path = f"/tasks/{task['id']}"
    for given, pointer, code in (
        ({"due": None}, "/due", "due_required"),
        ({"due": FAR}, "/recurrence/rrule", "until_type"),
    ):
        (error,) = user.problem(400, "invalid_input", "PATCH", path, json=given)["errors"]
        assert (error["pointer"], error["code"]) == (pointer, code)
    bare = user.task()
    (error,) = user.problem(
        400, "invalid_input", "PATCH", f"/tasks/{bare['id']}", json={"recurrence": WEEKLY}
    )["errors"]
    assert (error["pointer"], error["code"]) == ("/due", "due_required")
    both = {"due": None, "recurrence": None}
    assert user.expect(200, "PATCH", path, json=both)["recurrence"] is None
    later = {"due": {"date": "2150-01-20"}}
    user.expect(200, "PATCH", path, json=later | {"recurrence": {"rrule": "FREQ=DAILY"}})
    assert user.expect(200, "PATCH", path, json={"due": FAR})["due"] == FAR


def test_completing_an_outdated_version_returns_412(user: Api) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    stale, current = {"If-Match": '"0"'}, {"If-Match": f'"{task["version"]}"'}
    for verb in ("complete", "skip", "undo"):
        path = f"/tasks/{task['id']}/{verb}"
        problem = user.problem(412, "precondition_failed", "POST", path, headers=stale)
        assert problem["task"] == task
    path = f"/tasks/{task['id']}/complete"
    user.expect(200, "POST", path, headers=current)
    user.problem(412, "precondition_failed", "POST", path, headers=current)
    assert _history(user, task["id"])["total"] == 1


def test_completing_with_a_key_is_performed_once(user: Api) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    sent = {"headers": {"Idempotency-Key": "once"}}
    first, second = (
        user.expect(200, "POST", f"/tasks/{task['id']}/complete", **sent) for _ in range(2)
    )
    assert first == second
    assert _history(user, task["id"])["total"] == 1
    other = f"/tasks/{task['id']}/complete?keep_missed=true"
    user.problem(422, "idempotency_key_reused", "POST", other, **sent)


def test_a_recurring_task_with_a_key_is_created_once(user: Api) -> None:
    due = {"datetime": "2150-01-05T09:00:00", "timezone": "Europe/Berlin"}
    body = {"title": "a", "due": due, "recurrence": {"rrule": "FREQ=MONTHLY;BYDAY=-1FR"}}
    sent = {"json": body, "headers": {"Idempotency-Key": "once"}}
    first, second = (user.expect(201, "POST", "/tasks", **sent) for _ in range(2))
    assert first == second
    sent["json"] = body | {"due": due | {"timezone": "Asia/Tokyo"}}
    user.problem(422, "idempotency_key_reused", "POST", "/tasks", **sent)


def test_the_history_is_paginated_and_deleted_with_the_task(user: Api) -> None:
    task_id = user.task(due=FAR, recurrence={"rrule": "FREQ=DAILY"})["id"]
    other = user.task(due=FAR, recurrence={"rrule": "FREQ=DAILY"})["id"]
    done = [_advance(user, task_id, "complete")["occurrence"] for _ in range(5)]
    _advance(user, other, "complete")
    found: list[dict[str, Any]] = []
    for page in user.pages(f"/tasks/{task_id}/occurrences", limit=2):
        assert page["total"] == 5
        found += page["occurrences"]
    assert found == done[::-1]
    user.expect(204, "DELETE", f"/tasks/{task_id}")
    user.problem(404, "not_found", "GET", f"/tasks/{task_id}/occurrences")
    assert _history(user, other)["total"] == 1


@pytest.mark.parametrize("verb", ["complete", "skip", "undo"])
def test_each_occurrence_takes_the_next_versions(user: Api, verb: str) -> None:
    task = user.task(due=FAR, recurrence=WEEKLY)
    before = _advance(user, task["id"], "complete")["task"]["version"]
    after = _advance(user, task["id"], verb)["task"]["version"]
    assert after == before + 2, "one for the history, one for the task"
    tag = user.send("GET", "/tasks").headers["ETag"]
    assert tag == f'"{user.user_id}.{after}"'


def test_another_users_task_returns_403(user: Api, stranger: Api) -> None:
    task = stranger.task(due=FAR, recurrence=WEEKLY)
    calls: list[Callable[[], Any]] = [
        lambda verb=verb: user.problem(403, "forbidden", "POST", f"/tasks/{task['id']}/{verb}")
        for verb in ("complete", "skip", "undo")
    ]
    for call in calls:
        call()
    user.problem(403, "forbidden", "GET", f"/tasks/{task['id']}/occurrences")
    assert _history(stranger, task["id"])["total"] == 0


def test_occurrences_of_another_rule_do_not_count(user: Api) -> None:
    task_id = user.task(due=FAR, recurrence=WEEKLY)["id"]
    for _ in range(2):
        _advance(user, task_id, "complete")
    other = {"recurrence": {"rrule": "FREQ=DAILY;COUNT=2"}}
    user.expect(200, "PATCH", f"/tasks/{task_id}", json=other)
    undone = _advance(user, task_id, "undo")["task"]
    assert undone["due"] == {"date": "2150-01-12"}
    assert undone["recurrence"]["occurred"] is None
    assert not _advance(user, task_id, "complete")["task"]["is_completed"]


def test_an_occurrence_that_does_not_match_the_current_rule_cannot_be_undone(user: Api) -> None:
    task_id = user.task(due=FAR, recurrence={"rrule": "FREQ=DAILY;UNTIL=21501231"})["id"]
    _advance(user, task_id, "complete")
    due = {"datetime": "2150-01-05T09:00:00", "timezone": "Europe/Berlin"}
    timed = {"due": due, "recurrence": {"rrule": "FREQ=DAILY;UNTIL=21501231T000000Z"}}
    task = user.expect(200, "PATCH", f"/tasks/{task_id}", json=timed)
    (error,) = user.problem(400, "invalid_input", "POST", f"/tasks/{task_id}/undo")["errors"]
    assert (error["pointer"], error["code"]) == ("/recurrence/rrule", "until_type")
    assert user.expect(200, "GET", f"/tasks/{task_id}") == task
    assert _history(user, task_id)["total"] == 1
    user.expect(200, "PATCH", f"/tasks/{task_id}", json={"recurrence": None})
    assert _advance(user, task_id, "undo")["task"]["due"] == FAR
