"""Rules of recurring tasks: complete, skip, undo, and the history."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from model.changes import CONDITIONS, Changes, condition_on, sent_with
from model.foresight import Body, recurrence_misfit
from model.service import Service
from model.state import Account, Session, Task

_OUTCOMES = {"complete": "completed", "skip": "skipped"}
_numbers = count()


class OccurrenceRules(Changes):
    """Operations on occurrences of the user's tasks and of others."""

    @rule(
        session=Service.sessions,
        task_id=Service.tasks,
        verb=st.sampled_from(tuple(_OUTCOMES)),
        keeps_missed=st.none() | st.booleans(),
        condition=CONDITIONS,
    )
    def go_on(
        self,
        session: Session,
        task_id: int,
        verb: str,
        keeps_missed: bool | None,
        condition: str | None,
    ) -> None:
        """All dues are far in the future, so that none is missed."""
        task_id = self.near(session.account.tasks, task_id)
        account, path = session.account, f"/tasks/{task_id}/{verb}"
        task, sent = account.tasks.get(task_id), self._sent(account, task_id, condition)
        if keeps_missed is not None:
            sent["query_string"] = {"keep_missed": str(keeps_missed).lower()}
        if self._is_out_of_reach(session, task_id, condition, path, **sent):
            return
        assert task
        if task["recurrence"] and not task["is_completed"]:
            self._goes_on(session, task, _OUTCOMES[verb], path, **sent)
        elif verb == "skip":
            self.problem("not_recurring", session, "POST", path, **sent)
        else:
            result = self._once(session, path, **sent)
            assert (result["occurrence"], result["next"]) == (None, None)
            if task["is_completed"]:
                assert result["task"] == task
            else:
                self.completed(session, task, result["task"])

    @rule(session=Service.sessions, task_id=Service.tasks, condition=CONDITIONS)
    def undo(self, session: Session, task_id: int, condition: str | None) -> None:
        task_id = self.near(session.account.tasks, task_id)
        account, path = session.account, f"/tasks/{task_id}/undo"
        task, sent = account.tasks.get(task_id), self._sent(account, task_id, condition)
        if self._is_out_of_reach(session, task_id, condition, path, **sent):
            return
        assert task
        history = account.histories.get(task_id)
        if not history:
            self.problem("nothing_to_undo", session, "POST", path, **sent)
            return
        due = history[-1].returned["due"]
        if pointer := recurrence_misfit(task | {"due": due}):
            self.invalid(pointer, session, "POST", path, **sent)
            return
        result, last = self._once(session, path, **sent), history.pop()
        assert result["occurrence"] == last.returned
        assert result["next"] == due
        account.version += 1
        goes_on = task["recurrence"] and task["recurrence"]["occurred"] is not None
        occurred = last.occurred if goes_on else None
        if self.steps_to(account, task, due, occurred, -last.days, result["task"]):
            self.see(session)

    @rule(session=Service.sessions, task_id=Service.tasks, limit=st.integers(1, 3))
    def list_history(self, session: Session, task_id: int, limit: int) -> None:
        task_id = self.near(session.account.tasks, task_id)
        path = f"/tasks/{task_id}/occurrences"
        if self.is_out_of_reach(session, "task", task_id, "access", "GET", path):
            return
        expected = [past.returned for past in session.account.histories.get(task_id, [])][::-1]
        found: list[Body] = []
        for page in self.pages(session, path, limit=limit):
            assert page["total"] == len(expected)
            found += page["occurrences"]
            assert page["next_cursor"] is None or len(page["occurrences"]) == limit
        assert found == expected

    def _sent(self, account: Account, task_id: int, condition: str | None) -> dict[str, Any]:
        return sent_with("If-Match", condition_on(account.tasks.get(task_id), condition))

    def _is_out_of_reach(
        self, session: Session, task_id: int, condition: str | None, path: str, **sent: Any
    ) -> bool:
        if self.is_out_of_reach(session, "task", task_id, "update", "POST", path, **sent):
            return True
        task = session.account.tasks[task_id]
        return self.is_stale(session, task, condition, "POST", path, **sent)

    def _once(self, session: Session, path: str, **sent: Any) -> dict[str, Any]:
        """The response to a request that is sent twice with a key and performed once."""
        sent["headers"] = sent["headers"] | {"Idempotency-Key": f"step-{next(_numbers)}"}
        result: dict[str, Any] = self.response(200, session, "POST", path, **sent)
        assert self.response(200, session, "POST", path, **sent) == result
        return result

    def _goes_on(self, session: Session, task: Task, outcome: str, path: str, **sent: Any) -> None:
        result = self._once(session, path, **sent)
        following = self.advanced(session, task, outcome, result["occurrence"], result["task"])
        assert result["next"] == (following and following.represent())
