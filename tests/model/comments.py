"""Rules of comments."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, multiple, rule
from model.changes import Changes
from model.service import Service
from model.state import Account, Row, Session

TEXTS = st.sampled_from(("a", "Which color?", "\u00e9" * 20, "\U0001f331\n\U0001f331"))

Address = tuple[int, int]
"""The IDs of a task and of a comment on it."""


def _path(address: Address) -> str:
    return "/tasks/{}/comments/{}".format(*address)


class CommentRules(Changes):
    """Operations on the comments of the user's tasks and of others."""

    comments = Bundle("comments")
    """The addresses of all comments of both users, including deleted ones."""

    @rule(target=comments, session=Service.sessions, task_id=Service.tasks, text=TEXTS)
    def add_comment(
        self, session: Session, task_id: int, text: str
    ) -> Address | MultipleResults[Address]:
        account, path = session.account, f"/tasks/{task_id}/comments"
        sent = {"json": {"text": text}}
        if self.is_out_of_reach(session, "task", task_id, "access", "POST", path, **sent):
            return multiple()
        created = self.response(201, session, "POST", path, **sent)
        assert created == created | {"task_id": task_id, "author_id": account.id, "text": text}
        assert created["id"] > max(account.rows("comment"), default=0)
        account.write("comment", created)
        self._recount(session, task_id, 1)
        return task_id, int(created["id"])

    @rule(session=Service.sessions, address=comments, text=st.none() | TEXTS)
    def change_comment(self, session: Session, address: Address, text: str | None) -> None:
        account, path = session.account, _path(address)
        body = {} if text is None else {"text": text}
        if self.is_out_of_reach(session, "comment", address[1], "update", "PATCH", path, json=body):
            return
        changed = self.response(200, session, "PATCH", path, json=body)
        before = account.rows("comment")[address[1]]
        if not body:
            assert changed == before
            return
        moved = {name: changed[name] for name in ("version", "updated_at")}
        assert changed == before | body | moved
        account.write("comment", changed)

    @rule(session=Service.sessions, address=comments)
    def delete_comment(self, session: Session, address: Address) -> None:
        account, path = session.account, _path(address)
        if self.is_out_of_reach(session, "comment", address[1], "delete", "DELETE", path):
            return
        self.response(204, session, "DELETE", path)
        account.version += 1
        del account.rows("comment")[address[1]]
        self._recount(session, address[0], -1)

    @rule(
        session=Service.sessions,
        address=comments,
        task_id=Service.tasks,
        method=st.sampled_from(("GET", "PUT", "DELETE")),
    )
    def name_a_comment_below_another_task(
        self, session: Session, address: Address, task_id: int, method: str
    ) -> None:
        if task_id == address[0] or address[1] not in session.account.rows("comment"):
            return
        path, sent = _path((task_id, address[1])), {"json": {"text": "b"}}
        sent = sent if method == "PUT" else {}
        if not self.is_refused(session, method, path, **sent):
            self.problem("not_found", session, method, path, **sent)

    @rule(session=Service.sessions, task_id=Service.tasks, limit=st.integers(1, 3))
    def list_comments(self, session: Session, task_id: int, limit: int) -> None:
        path = f"/tasks/{task_id}/comments"
        if self.is_out_of_reach(session, "task", task_id, "access", "GET", path):
            return
        expected = _on(session.account, task_id)
        found: list[Row] = []
        for page in self.pages(session, path, limit=limit):
            found += page["comments"]
            assert page["total"] == len(expected)
        assert found == expected

    def _recount(self, session: Session, task_id: int, more: int) -> None:
        """Record that the last write added or removed a comment on a task."""
        task = session.account.tasks[task_id]
        session.account.leave(task, comment_count=task["comment_count"] + more)
        self.see(session)

    def check(self, account: Account) -> None:
        """Check that the comments of an account match the model."""
        super().check(account)
        for session in account.live_sessions()[:1]:
            for task_id, task in account.tasks.items():
                found = self.response(200, session, "GET", f"/tasks/{task_id}/comments")
                expected = _on(account, task_id)
                assert found["comments"] == expected
                assert found["total"] == task["comment_count"] == len(expected)


def _on(account: Account, task_id: int) -> list[Row]:
    """The comments on a task, newest first."""
    rows = account.rows("comment").values()
    found = [comment for comment in rows if comment["task_id"] == task_id]
    return sorted(found, key=lambda comment: comment["id"], reverse=True)
