"""Rules of tasks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, consumes, multiple, rule
from model.service import Service
from model.state import EACH_SORT, Account, Cursor, Kept, Session, Task, filtered, in_order

from taskapi.core.schemas import WHITE_SPACE

_ANY = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
_FEW = st.sampled_from(("a", "A", "b", "B", "aa", "\xe9", "\xc9", "_", "[", "0", "\U0001f331"))
TITLES = _FEW | st.text(_ANY, min_size=1, max_size=12).filter(lambda text: text.strip(WHITE_SPACE))
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "title": TITLES,
        "description": st.none() | st.text(_ANY, max_size=12),
        "is_completed": st.booleans(),
    },
)
NEW = CHANGES.flatmap(lambda rest: TITLES.map(lambda title: rest | {"title": title}))
BROKEN = st.sampled_from(
    ({"title": ""}, {"title": None}, {"is_completed": 1}, {"description": 1}, {"colour": "red"})
)
KEYS = st.none() | st.sampled_from(("one", "two"))
CONDITIONS = st.sampled_from((None, "*", "right", "weak", "among others", "older", "nonsense"))


def _tags(condition: str | None, tag: str, older: str) -> str | None:
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


def _sent(header: str, value: str | None) -> dict[str, Any]:
    return {"headers": {header: value} if value else {}}


def _loaded(body: dict[str, Any]) -> dict[str, Any]:
    """A body as the service keeps it."""
    trimmed = {"title": body["title"].strip(WHITE_SPACE)} if "title" in body else {}
    return body | trimmed


class TaskRules(Service):
    """What one can do with one's tasks, and what with those of others."""

    tasks = Bundle("tasks")
    """The ids of all tasks that there ever were, of both people."""

    cursors = Bundle("cursors")
    """Where pages of lists ended, of both people."""

    @rule(target=tasks, session=Service.sessions, body=NEW, key=KEYS)
    def add(
        self, session: Session, body: dict[str, Any], key: str | None
    ) -> int | MultipleResults[int]:
        account = session.account
        sent = {"json": body, **_sent("Idempotency-Key", key)}
        if self.is_refused(session, "POST", "/tasks", **sent):
            return multiple()
        kept = account.keys.get(key or "")
        if kept and kept.body != _loaded(body):
            self.problem("idempotency_key_reused", session, "POST", "/tasks", **sent)
            return multiple()
        response = self.ask(session, "POST", "/tasks", **sent)
        task = response.get_json()
        assert response.status_code == 201, task
        assert response.headers["ETag"] == f'"{task["version"]}"'
        assert response.headers["Location"] == f"/tasks/{task['id']}"
        assert response.headers.get("Idempotency-Replayed") == ("true" if kept else None)
        if kept:
            assert task == kept.answer
            return multiple()
        expected = {"description": None, "is_completed": False, "user_id": account.id}
        expected |= {"list_id": account.id, "label_ids": []}
        assert task == task | expected | _loaded(body)
        account.add(task)
        if key:
            account.keys[key] = Kept(_loaded(body), task)
        return int(task["id"])

    @rule(session=Service.sessions, task_id=tasks, condition=CONDITIONS)
    def get(self, session: Session, task_id: int, condition: str | None) -> None:
        path, task = f"/tasks/{task_id}", session.account.tasks.get(task_id)
        sent = _sent("If-None-Match", self._condition(condition, task))
        if self.is_out_of_reach(session, "task", task_id, "access", "GET", path, **sent):
            return
        assert task
        response = self.ask(session, "GET", path, **sent)
        assert response.headers["ETag"] == f'"{task["version"]}"'
        if condition in ("*", "right", "weak", "among others"):
            assert (response.status_code, response.data) == (304, b"")
        else:
            assert (response.status_code, response.get_json()) == (200, task)

    @rule(
        session=Service.sessions,
        task_id=tasks,
        method=st.sampled_from(("PUT", "PATCH")),
        body=CHANGES,
        condition=CONDITIONS,
    )
    def change(
        self,
        session: Session,
        task_id: int,
        method: str,
        body: dict[str, Any],
        condition: str | None,
    ) -> None:
        path, task = f"/tasks/{task_id}", session.account.tasks.get(task_id)
        sent = {"json": body, **_sent("If-Match", self._condition(condition, task))}
        if self.is_out_of_reach(session, "task", task_id, "update", method, path, **sent):
            return
        assert task
        if self._is_stale(session, task, condition, method, path, **sent):
            return
        changed = self.answer(200, session, method, path, **sent)
        if not body:
            assert changed == task
            return
        moves = {name: changed[name] for name in ("version", "updated_at")}
        assert changed == task | _loaded(body) | moves
        session.account.write(changed)

    @rule(session=Service.sessions, task_id=tasks, condition=CONDITIONS)
    def delete(self, session: Session, task_id: int, condition: str | None) -> None:
        path, task = f"/tasks/{task_id}", session.account.tasks.get(task_id)
        sent = _sent("If-Match", self._condition(condition, task))
        if self.is_out_of_reach(session, "task", task_id, "delete", "DELETE", path, **sent):
            return
        assert task
        if not self._is_stale(session, task, condition, "DELETE", path, **sent):
            self.answer(204, session, "DELETE", path, **sent)
            session.account.remove(task_id)

    @rule(session=Service.sessions, task_id=tasks, body=BROKEN)
    def break_a_rule(self, session: Session, task_id: int, body: dict[str, Any]) -> None:
        for method, path in (("POST", "/tasks"), ("PUT", f"/tasks/{task_id}")):
            sent = {"json": {"title": "a"} | body}
            problem = self.problem("invalid_input", session, method, path, **sent)
            assert [error["pointer"] for error in problem["errors"]] == [f"/{next(iter(body))}"]

    @rule(
        target=cursors,
        session=Service.sessions,
        sort=st.sampled_from(EACH_SORT),
        is_completed=st.none() | st.booleans(),
        limit=st.integers(1, 4),
    )
    def list_in_pages(
        self, session: Session, sort: str, is_completed: bool | None, limit: int
    ) -> MultipleResults[Cursor]:
        if self.is_refused(session, "GET", "/tasks"):
            return multiple()
        found: list[Cursor] = []
        while True:
            after = found[-1] if found else None
            cursor = self._page(session, sort, is_completed, limit, after)
            if cursor is None:
                return multiple(*found)
            found.append(cursor)

    @rule(
        session=Service.sessions,
        after=consumes(cursors),
        sort=st.none() | st.sampled_from(EACH_SORT),
        is_completed=st.none() | st.booleans(),
    )
    def go_on_later(
        self, session: Session, after: Cursor, sort: str | None, is_completed: bool | None
    ) -> None:
        """From a place of a list that may have changed, or may be somebody else's."""
        query = {"sort": sort or after.sort, "cursor": after.text}
        if sort not in (None, after.sort):
            code = "invalid_input"
            self.problem(code, session, "GET", "/tasks", query_string=query)
        elif not self.is_refused(session, "GET", "/tasks", query_string=query):
            self._page(session, after.sort, is_completed, 1_000, after)

    @rule(session=Service.sessions, condition=CONDITIONS)
    def list_what_changed(self, session: Session, condition: str | None) -> None:
        account = session.account
        tag, older = (f'"{account.id}.{version}"' for version in (account.version, 999_999))
        sent = _sent("If-None-Match", _tags(condition, tag, older))
        if self.is_refused(session, "GET", "/tasks", **sent):
            return
        response = self.ask(session, "GET", "/tasks", **sent)
        assert response.headers["ETag"] == tag
        if condition in ("*", "right", "weak", "among others"):
            assert (response.status_code, response.data) == (304, b"")
        else:
            expected = in_order(account, "-created_at", None)
            assert response.get_json()["tasks"] == expected

    def _page(
        self,
        session: Session,
        sort: str,
        is_completed: bool | None,
        limit: int,
        after: Cursor | None,
    ) -> Cursor | None:
        """Ask for a page, hold it against the model, and give where it ended."""
        account = session.account
        query: dict[str, Any] = {"sort": sort, "limit": limit}
        query |= {"cursor": after.text} if after else {}
        query |= {} if is_completed is None else {"is_completed": str(is_completed).lower()}
        response = self.ask(session, "GET", "/tasks", query_string=query)
        page, rest = response.get_json(), in_order(account, sort, is_completed, after)
        assert response.status_code == 200, page
        assert response.headers["ETag"] == f'"{account.id}.{account.version}"'
        assert page["tasks"] == rest[:limit]
        assert page["total"] == len(list(filtered(account, is_completed)))
        has_more = len(rest) > limit
        assert (page["next_cursor"] is not None) == ("Link" in response.headers) == has_more
        return Cursor(page["next_cursor"], sort, rest[limit - 1]) if has_more else None

    def _condition(self, condition: str | None, task: Task | None) -> str | None:
        version = task["version"] if task else 1
        return _tags(condition, f'"{version}"', f'"{version - 1}"')

    def _is_stale(
        self,
        session: Session,
        task: Task,
        condition: str | None,
        method: str,
        path: str,
        **sent: Any,
    ) -> bool:
        """Whether a write names another version, and then sees to it that it is refused so."""
        if condition in (None, "*", "right", "among others"):
            return False
        problem = self.problem("precondition_failed", session, method, path, **sent)
        assert problem["task"] == task
        return True

    def check_tasks(self, account: Account) -> None:
        """See that an account with a live session has the tasks that the model has."""
        for session in account.live_sessions()[:1]:
            self._page(session, "-created_at", None, 1_000, None)
