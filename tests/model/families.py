"""Rules of subtasks."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule
from model.foresight import Body, placed
from model.lists import ListRules
from model.service import Service
from model.state import Session
from model.tasks import TaskRules

_PLACES = {"parent_id": st.none() | Service.tasks, "list_id": st.none() | ListRules.lists}
ARRANGEMENTS = st.fixed_dictionaries(
    {}, optional={**_PLACES, "is_completed": st.booleans(), "title": st.just("a")}
)


class FamilyRules(TaskRules):
    """Operations on subtasks, of the user's own tasks and of others."""

    @rule(
        session=Service.sessions,
        parent_id=Service.tasks,
        body=st.fixed_dictionaries({}, optional={"list_id": st.none() | ListRules.lists}),
        count=st.integers(1, 6),
    )
    def create_subtask(self, session: Session, parent_id: int, body: Body, count: int) -> None:
        """A chain of subtasks."""
        parent_id = self.near(session.account.tasks, parent_id)
        body = self.named(session, body)
        for _ in range(count):
            body = body | {"title": "a", "parent_id": parent_id}
            if self.is_refused(session, "POST", "/tasks", json=body):
                break
            target = placed(session.account, None, body)
            if isinstance(target, str):
                self.invalid(target, session, "POST", "/tasks", json=body)
                break
            task = self.response(201, session, "POST", "/tasks", json=body)
            self.added(session.account, body | target, task)
            parent_id = int(task["id"])

    @rule(session=Service.sessions, task_id=Service.tasks, body=ARRANGEMENTS)
    def arrange(self, session: Session, task_id: int, body: Body) -> None:
        task_id = self.near(session.account.tasks, task_id)
        self.change_task(session, task_id, self.named(session, body))

    @rule(session=Service.sessions, task_id=Service.tasks, is_completed=st.booleans())
    def complete_parent(self, session: Session, task_id: int, is_completed: bool) -> None:
        task_id = self.near(session.account.tasks, task_id)
        self.change_task(session, task_id, {"is_completed": is_completed})
