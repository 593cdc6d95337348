"""Rules of the manual order, compared with Python lists."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from model.changes import CONDITIONS, Changes, condition_on, sent_with
from model.foresight import Body, is_placed, number_of, placed
from model.lists import ListRules
from model.service import Service
from model.state import Account, Session, Task

_ELSEWHERE = st.fixed_dictionaries(
    {},
    optional={
        "parent_id": st.none() | Service.tasks,
        "list_id": st.none() | ListRules.lists,
        "after": st.none() | Service.tasks,
    },
)


class MoveRules(Changes):
    """Moves of the user's tasks."""

    @rule(session=Service.sessions, task_id=Service.tasks, body=_ELSEWHERE, condition=CONDITIONS)
    def move(self, session: Session, task_id: int, body: Body, condition: str | None) -> None:
        task_id = self.near(session.account.tasks, task_id)
        self._move(session, task_id, self.named(session, body), condition)

    @rule(session=Service.sessions, data=st.data(), count=st.integers(1, 5))
    def move_after_siblings(self, session: Session, data: st.DataObject, count: int) -> None:
        """Repeat a move until no position is free and the following tasks get new ones."""
        for _ in range(count):
            tasks = session.account.tasks
            if not tasks:
                return
            after = tasks[data.draw(st.sampled_from(sorted(tasks)))]
            beside = [
                task["id"]
                for task in session.account.inside(after["list_id"])
                if task["parent_id"] == after["parent_id"] and task is not after
            ]
            if beside:
                task_id = data.draw(st.sampled_from(beside))
                self._move(session, task_id, {"after": after["id"]}, None)

    def _move(self, session: Session, task_id: int, body: Body, condition: str | None) -> None:
        account, path = session.account, f"/tasks/{task_id}/move"
        task = account.tasks.get(task_id)
        sent = {"json": body, **sent_with("If-Match", condition_on(task, condition))}
        if self.is_out_of_reach(session, "task", task_id, "update", "POST", path, **sent):
            return
        assert task
        if self.is_stale(session, task, condition, "POST", path, **sent):
            return
        target = placed(account, task, body)
        if isinstance(target, str):
            self._is_refused_there(session, path, body, target)
            return
        order = self._order(account, task, target, body)
        if order is None:
            self.invalid("/after", session, "POST", path, **sent)
            return
        moved = self.response(200, session, "POST", path, **sent)
        if is_placed(task, body):
            self.set_parent(account, task, target)
        self._moved(session, task | target, moved, order)

    def _is_refused_there(self, session: Session, path: str, body: Body, pointer: str) -> None:
        problem = self.problem("invalid_input", session, "POST", path, json=body)
        (error,) = problem["errors"]
        is_unknown_list = pointer == "/list_id" and body.get("parent_id") is None
        assert error["pointer"] in ((pointer, "/after") if is_unknown_list else (pointer,))

    @staticmethod
    def _order(account: Account, task: Task, target: Body, body: Body) -> list[int] | None:
        """The IDs of a list after a move; None if the move is invalid."""
        with_it = {task["id"], *(one["id"] for one in account.below(task["id"]))}
        joined = [*account.inside(target["list_id"])]
        joined += [one for one in account.tasks.values() if one["id"] in with_it]
        found = {one["id"]: one for one in joined if one["id"] != task["id"]}
        order = sorted(found, key=lambda one: (found[one]["position"], one))
        if body.get("after") is None:
            order.insert(len(order) if "after" not in body else 0, task["id"])
            return order
        after = found.get(body["after"])
        is_there = after and (after["id"] not in with_it or target["list_id"] == after["list_id"])
        if not after or not is_there or after["parent_id"] != target["parent_id"]:
            return None
        order.insert(order.index(after["id"]) + 1, task["id"])
        return order

    def _moved(self, session: Session, expected: Task, moved: Task, order: list[int]) -> None:
        """Check the position of a moved task, and that following tasks were moved if necessary."""
        account, task_id = session.account, expected["id"]
        query: dict[str, Any] = {"list_id": expected["list_id"], "sort": "position"}
        found = self.response(200, session, "GET", "/tasks", query_string=query)["tasks"]
        assert [task["id"] for task in found] == order
        shifted = [
            task["id"]
            for task in found
            if task["id"] != task_id and task["position"] != account.tasks[task["id"]]["position"]
        ]
        behind = order[order.index(task_id) + 1 :]
        assert shifted == behind[: len(shifted)]
        account.version += bool(shifted)
        for task in found:
            if task["id"] in shifted:
                account.leave(account.tasks[task["id"]], position=task["position"])
        if order[-1] == task_id and len(moved["position"]) == 20:
            account.last_place = max(account.last_place, number_of(moved["position"]))
        self.record(account, expected | {"position": moved["position"]}, moved)
        self.see(session)
