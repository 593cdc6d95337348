"""Common code of rules of tasks: a change of a task and of its subtasks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from flask import Flask
from hypothesis import strategies as st
from model.foresight import (
    Body,
    completes_occurrence,
    is_partial,
    is_placed,
    misfit,
    number_of,
    placed,
    shifted,
    written_fields,
)
from model.service import Service
from model.state import UNSEEN, Account, Occurrence, PastOccurrence, Session, Task
from support.contract import Contract

from taskapi.tasks.dues import DateDue, Due, TimedDue
from taskapi.tasks.recurrence.service import Anchor, Following, Recurrence, next_due, parse

CONDITIONS = st.sampled_from(
    (*[None] * 5, "*", "right", "weak", "among others", "older", "nonsense")
)


def tags(condition: str | None, tag: str, older: str) -> str | None:
    """The value of a conditional header."""
    words = {
        "*": "*",
        "right": tag,
        "weak": f"W/{tag}",
        "among others": f'"x", {tag}, "y"',
        "older": older,
        "nonsense": '"x"',
    }
    return words[condition] if condition else None


def sent_with(header: str, value: str | None) -> dict[str, Any]:
    """The headers of a request, if there is a value."""
    return {"headers": {header: value} if value else {}}


def condition_on(task: Task | None, condition: str | None) -> str | None:
    """The value of a conditional header for a version of a task."""
    version = task["version"] if task else 1
    return tags(condition, f'"{version}"', f'"{version - 1}"')


def _due_of(returned: dict[str, str]) -> Due:
    if "date" in returned:
        return DateDue(date.fromisoformat(returned["date"]))
    return TimedDue(datetime.fromisoformat(returned["datetime"]), returned["timezone"])


def _following(task: Task) -> Following:
    """The next occurrence. Other tests check whether it is correct."""
    how, due = task["recurrence"], _due_of(task["due"])
    recurrence = Recurrence(parse(how["rrule"]), Anchor.DUE, how["timezone"])
    return next_due(recurrence, due, occurred=how["occurred"])


class Changes(Service):
    """Changes of tasks, and their expected results."""

    recorded: list[int]
    """Recurring tasks that were completed with their parent."""

    def __init__(self, app: Flask, contract: Contract) -> None:
        super().__init__(app, contract)
        self.recorded = []

    def near(self, owned: Mapping[int, Any], row_id: int) -> int:
        """An ID, or more often the nearest ID of the user's own."""
        if self.request_count % 4 == 0 or not owned:
            return row_id
        return min(owned, key=lambda own: (abs(own - row_id), own))

    def named(self, session: Session, body: Body) -> Body:
        """A body whose lists and tasks are mostly the user's own. Null stands for the inbox."""
        account, found = session.account, dict(body)
        if "list_id" in body:
            list_id = body["list_id"]
            found["list_id"] = self.near(account.lists, list_id) if list_id else account.id
        for name in ("parent_id", "after"):
            if body.get(name) is not None:
                found[name] = self.near(account.tasks, body[name])
        return found

    def change_task(
        self,
        session: Session,
        task_id: int,
        body: Body,
        method: str = "PATCH",
        condition: str | None = None,
    ) -> None:
        """Send a change of a task, and check its result."""
        account, path = session.account, f"/tasks/{task_id}"
        task = account.tasks.get(task_id)
        sent = {"json": body, **sent_with("If-Match", condition_on(task, condition))}
        is_checked_first = "due" in body and not is_partial(method, body)
        if is_checked_first and (pointer := misfit(None, body)):
            self.invalid(pointer, session, method, path, **sent)
            return
        if self.is_out_of_reach(session, "task", task_id, "update", method, path, **sent):
            return
        assert task
        if self.is_stale(session, task, condition, method, path, **sent):
            return
        if pointer := self._misplaced(account, task, body):
            self.invalid(pointer, session, method, path, **sent)
            return
        changed = self.response(200, session, method, path, **sent)
        if body:
            self._changed(session, task, body, method, changed)
        else:
            assert changed == task

    def is_stale(
        self,
        session: Session,
        task: Task,
        condition: str | None,
        method: str,
        path: str,
        **sent: Any,
    ) -> bool:
        """Whether a write has an outdated version. If so, check that it returns 412."""
        if condition in (None, "*", "right", "among others"):
            return False
        problem = self.problem("precondition_failed", session, method, path, **sent)
        assert problem["task"] == task
        return True

    def set_parent(self, account: Account, task: Task, target: Body) -> bool:
        """Record that subtasks move with their task. Returns whether there are any."""
        return account.write_together(account.below(task["id"]), list_id=target["list_id"])

    def complete_subtask(
        self, account: Account, task: Task, *, is_completed: bool, since: Any = UNSEEN
    ) -> bool:
        """Record that subtasks are completed or reopened. Returns whether there are any."""
        below = account.below(task["id"])
        others = [one for one in below if one["is_completed"] is not is_completed]
        moment = since if is_completed else None
        if is_completed:
            self.recorded += [one["id"] for one in others if one["recurrence"]]
        return account.write_together(others, is_completed=is_completed, completed_at=moment)

    def move_dates(self, account: Account, task: Task, days: int) -> bool:
        """Record that the dates of subtasks move. Returns whether there are any."""
        dated = [one for one in account.below(task["id"]) if one["due"] or one["start"]]
        if not (days and dated):
            return False
        account.version += 1
        for one in dated:
            account.leave(one, **{name: shifted(one[name], days) for name in ("due", "start")})
        return True

    def see(self, session: Session) -> None:
        """Check that all tasks match the model, and the history of those completed together."""
        account = session.account
        account.recognize(self.response(200, session, "GET", "/tasks")["tasks"])
        for task_id in self.recorded:
            task, past = account.tasks[task_id], self.last_occurrence(session, task_id)
            assert past["due"] == task["due"]
            occurred = task["recurrence"]["occurred"]
            account.histories.setdefault(task_id, []).append(PastOccurrence(past, occurred, 0))
        self.recorded.clear()

    def last_occurrence(self, session: Session, task_id: int) -> Occurrence:
        """The last one in the history of a task."""
        path = f"/tasks/{task_id}/occurrences"
        found = self.response(200, session, "GET", path, query_string={"limit": 1})
        last: Occurrence = found["occurrences"][0]
        return last

    def advanced(
        self, session: Session, task: Task, outcome: str, past: Occurrence, returned: Task
    ) -> Due | None:
        """Check the result of completing or skipping an occurrence. Returns the next one."""
        account, parent = session.account, session.account.tasks.get(task["parent_id"])
        is_last = outcome == "completed" and parent is not None and parent["is_completed"]
        following = None if is_last else _following(task)
        expected = {"task_id": task["id"], "outcome": outcome, "missed": 0, "due": task["due"]}
        assert past == past | expected | {"user_id": account.id}
        account.follow(past | {"updated_at": past["created_at"]})
        occurred, days = task["recurrence"]["occurred"], following.days if following else 0
        account.histories.setdefault(task["id"], []).append(PastOccurrence(past, occurred, days))
        if following is None or following.due is None:
            self.completed(session, task, returned)
            return None
        are_others = self.complete_subtask(account, task, is_completed=False)
        due = following.due.represent()
        are_others |= self.steps_to(account, task, due, following.occurred, days, returned)
        if are_others:
            self.see(session)
        return following.due

    def steps_to(
        self,
        account: Account,
        task: Task,
        due: Body,
        occurred: int | None,
        days: int,
        returned: Task,
    ) -> bool:
        """Check a task that moved to another due. Returns whether its subtasks moved too."""
        changes: Body = {"is_completed": False, "completed_at": None, "due": due}
        changes["start"] = shifted(task["start"], days)
        if task["recurrence"]:
            changes["recurrence"] = task["recurrence"] | {"occurred": occurred}
        are_others = self.move_dates(account, task, days)
        self.record(account, task | changes, returned)
        return are_others

    def completed(self, session: Session, task: Task, returned: Task) -> None:
        """Check a task that was completed with its subtasks."""
        are_others = self.complete_subtask(session.account, task, is_completed=True)
        expected = task | {"is_completed": True, "completed_at": UNSEEN}
        self.record(session.account, expected, returned)
        if are_others:
            self.see(session)

    def _misplaced(self, account: Account, task: Task, body: Body) -> str | None:
        pointer = misfit(task, body) if {"due", "start", "recurrence"} & body.keys() else None
        if pointer or not is_placed(task, body):
            return pointer
        target = placed(account, task, body)
        return target if isinstance(target, str) else None

    def _changed(
        self, session: Session, task: Task, body: Body, method: str, changed: Task
    ) -> None:
        account, completes = session.account, completes_occurrence(task, body)
        completion = ("is_completed", "completed_at") if completes else ()
        written = {name: value for name, value in body.items() if name not in completion}
        expected = task | written_fields(task, written, method)
        concerns_others = False
        if is_placed(task, body):
            target = placed(account, task, body)
            assert not isinstance(target, str), "it was looked at before"
            expected |= target | {"position": changed["position"]}
            account.take_place(number_of(changed["position"]))
            concerns_others = self.set_parent(account, task, target)
        if completes:
            account.version += bool(written)
            past = self.last_occurrence(session, task["id"])
            self.advanced(session, expected, "completed", past, changed)
            if concerns_others:
                self.see(session)
            return
        if body.get("is_completed"):
            since = body.get("completed_at") or UNSEEN
            concerns_others |= self.complete_subtask(account, task, is_completed=True, since=since)
        self.record(account, expected, changed)
        if concerns_others:
            self.see(session)

    @staticmethod
    def record(account: Account, expected: Task, changed: Task) -> None:
        """Check the response with a task after a write, and record it."""
        moved = {name: changed[name] for name in ("version", "updated_at")}
        unseen = [name for name, value in expected.items() if value is UNSEEN]
        assert changed == expected | moved | dict.fromkeys(unseen, changed["updated_at"])
        account.write("task", changed)
