"""Predictions for a write of a task: the resulting task, or the pointer of the error."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from model.state import UNSEEN, Account, Task

from taskapi.http.fields import WHITE_SPACE

Body = dict[str, Any]

MAX_DEPTH = 15
_FIRST_PLACE = 5 * 10**18
_MOMENTS = ("due", "start")


def place_of(number: int) -> str:
    """The position of a whole number."""
    return str(_FIRST_PLACE + number)


def number_of(place: str) -> int:
    """The whole number of a position."""
    return int(place) - _FIRST_PLACE


def trimmed(body: Body) -> Body:
    """A body as the service interprets it."""
    return body | ({"title": body["title"].strip(WHITE_SPACE)} if "title" in body else {})


def written_fields(task: Task | None, body: Body, method: str = "PUT") -> Body:
    """The fields of a task after a body was written. PATCH merges the recurrence."""
    fields = trimmed(body)
    for name in _MOMENTS:
        if body.get(name):
            fields[name] = _represent_due(body[name])
    if body.get("recurrence"):
        due = fields["due"] if "due" in fields else task and task["due"]
        before = (task and task["recurrence"]) or {}
        merged = before if method == "PATCH" else {}
        fields["recurrence"] = _represent_recurrence(task, merged | body["recurrence"], due)
    if "is_completed" in body:
        was_completed = task is not None and task["is_completed"]
        since = task["completed_at"] if task is not None and was_completed else UNSEEN
        since = body.get("completed_at") or since
        fields["completed_at"] = since if body["is_completed"] else None
    return fields


def completes_occurrence(task: Task, body: Body) -> bool:
    """Whether a change completes the current occurrence of a recurring task."""
    how = body["recurrence"] if "recurrence" in body else task["recurrence"]
    return bool(body.get("is_completed") and not task["is_completed"] and how)


def is_partial(method: str, body: Body) -> bool:
    """Whether a change depends on the recurrence that the task has."""
    given = body.get("recurrence")
    return bool(method == "PATCH" and given and not {"rrule", "anchor", "timezone"} <= given.keys())


def shifted(moment: Body | None, days: int) -> Body | None:
    """A due or a start so many days later."""
    if moment is None:
        return None
    if "date" in moment:
        return {"date": (date.fromisoformat(moment["date"]) + timedelta(days)).isoformat()}
    local = datetime.fromisoformat(moment["datetime"]) + timedelta(days)
    return _represent_due(
        {"datetime": local.isoformat(timespec="seconds"), "timezone": moment["timezone"]}
    )


def _represent_due(due: Body) -> Body:
    if "date" in due:
        return due
    wall = datetime.fromisoformat(due["datetime"]).replace(tzinfo=ZoneInfo(due["timezone"]))
    return due | {"at": f"{wall.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}


def _represent_recurrence(task: Task | None, recurrence: Body, due: Body) -> Body:
    before = task and task["recurrence"]
    goes_on = before and before["rrule"] == recurrence["rrule"]
    defaults = {"anchor": "due", "timezone": due.get("timezone", "UTC")}
    return defaults | recurrence | {"occurred": before["occurred"] if before and goes_on else None}


def misfit(task: Task | None, body: Body) -> str | None:
    """The pointer of the error if a start, a due and a recurrence do not match.

    Args:
        task: the stored task; None for a new one.
    """
    known = {name: task[name] for name in ("due", "start", "recurrence")} if task else {}
    known |= body
    if starts_late(known.get("start"), known.get("due")):
        return "/start"
    return recurrence_misfit(known)


def starts_late(start: Body | None, due: Body | None) -> bool:
    """Whether a start is after the due."""
    if not (start and due):
        return False
    if "datetime" in start and "datetime" in due:
        return str(_represent_due(start)["at"]) > str(_represent_due(due)["at"])
    return _day(start) > _day(due)


def _day(moment: Body) -> str:
    return str(moment.get("date") or moment["datetime"][:10])


def recurrence_misfit(known: Body) -> str | None:
    """The pointer of the error if a due and a recurrence do not match."""
    if not known.get("recurrence"):
        return None
    if not known.get("due"):
        return "/due"
    ends_at_a_time = "UNTIL" in known["recurrence"]["rrule"]
    return "/recurrence/rrule" if ends_at_a_time and "date" in known["due"] else None


def is_placed(task: Task, body: Body) -> bool:
    """Whether a body moves the task."""
    return any(body.get(name, task[name]) != task[name] for name in ("list_id", "parent_id"))


def placed(account: Account, task: Task | None, body: Body) -> Body | str:
    """The new list and parent of a task, or the pointer of the error."""
    here = task or {"list_id": account.id, "parent_id": None}
    parent_id, list_id = (body.get(name, here[name]) for name in ("parent_id", "list_id"))
    below = account.below(task["id"]) if task else []
    if parent_id is not None:
        parent = account.tasks.get(parent_id)
        if parent is None or parent is task or parent in below:
            return "/parent_id"
        if body.get("list_id", parent["list_id"]) != parent["list_id"]:
            return "/list_id"
        if account.depth(parent) + 1 + account.height(task, below) > MAX_DEPTH:
            return "/parent_id"
        list_id = parent["list_id"]
    if list_id not in account.lists:
        return "/list_id"
    return {"list_id": list_id, "parent_id": parent_id}
