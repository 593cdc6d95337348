"""Common code of rules of tasks: a change of a task and of its subtasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from model.foresight import Body, is_placed, misfit, number_of, placed, written_fields
from model.service import Service
from model.state import UNSEEN, Account, Session, Task

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


class Changes(Service):
    """Changes of tasks, and their expected results."""

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
        if "due" in body and (pointer := misfit(None, body)):
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
            self._changed(session, task, body, changed)
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

    def complete_subtask(self, account: Account, task: Task, *, is_completed: bool) -> bool:
        """Record that subtasks are completed or reopened. Returns whether there are any."""
        below = account.below(task["id"])
        others = [one for one in below if one["is_completed"] is not is_completed]
        since = UNSEEN if is_completed else None
        return account.write_together(others, is_completed=is_completed, completed_at=since)

    def see(self, session: Session) -> None:
        """Check that all tasks match the model."""
        session.account.recognize(self.response(200, session, "GET", "/tasks")["tasks"])

    def _misplaced(self, account: Account, task: Task, body: Body) -> str | None:
        pointer = misfit(task, body) if {"due", "recurrence"} & body.keys() else None
        if pointer or not is_placed(task, body):
            return pointer
        target = placed(account, task, body)
        return target if isinstance(target, str) else None

    def _changed(self, session: Session, task: Task, body: Body, changed: Task) -> None:
        account, expected = session.account, task | written_fields(task, body)
        concerns_others = False
        if is_placed(task, body):
            target = placed(account, task, body)
            assert not isinstance(target, str), "it was looked at before"
            expected |= target | {"position": changed["position"]}
            account.take_place(number_of(changed["position"]))
            concerns_others = self.set_parent(account, task, target)
        if body.get("is_completed"):
            concerns_others |= self.complete_subtask(account, task, is_completed=True)
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
