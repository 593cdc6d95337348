"""Rules of tasks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, consumes, multiple, rule
from model.changes import CONDITIONS, Changes, condition_on, sent_with, tags
from model.foresight import Body, misfit, place_of, trimmed, written_fields
from model.service import Service
from model.state import (
    UNSEEN,
    Account,
    Cursor,
    Kept,
    Session,
    Task,
    filtered,
    in_order,
)
from support.numbers import NUMBERS, SORTS, Number

from taskapi.http.fields import WHITE_SPACE

_ANY = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
_FEW = st.sampled_from(("a", "A", "b", "B", "aa", "\xe9", "\xc9", "_", "[", "0", "\U0001f331"))
TITLES = _FEW | st.text(_ANY, min_size=1, max_size=12).filter(lambda text: text.strip(WHITE_SPACE))
DUES = st.sampled_from(
    (
        {"date": "2150-01-05"},
        {"date": "2150-01-31"},
        {"datetime": "2150-01-05T09:00:00", "timezone": "Europe/Berlin"},
        {"datetime": "2150-01-05T23:59:59", "timezone": "Asia/Tokyo"},
    )
)
"""So far in the future that no occurrence from then on has passed."""

_RULES = st.sampled_from(
    (
        "FREQ=DAILY;COUNT=2",
        "FREQ=WEEKLY;BYDAY=TU,FR",
        "FREQ=DAILY;UNTIL=21500107T120000Z",
        "FREQ=MONTHLY;BYMONTHDAY=31",
    )
)
RECURRENCES = st.fixed_dictionaries(
    {"rrule": _RULES},
    optional={"anchor": st.just("due"), "timezone": st.sampled_from(("UTC", "America/New_York"))},
)


def _values(number: Number) -> st.SearchStrategy[int | None]:
    values = st.integers(number.least, number.most)
    return st.none() | values if number.is_nullable else values


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "title": TITLES,
        "description": st.none() | st.text(_ANY, max_size=12),
        "is_completed": st.booleans(),
        "due": st.none() | DUES,
        "start": st.none() | DUES,
        "recurrence": st.none() | RECURRENCES,
        "assignee_id": st.none(),
        **{number.name: _values(number) for number in NUMBERS},
    },
)
NEW = CHANGES.flatmap(lambda rest: TITLES.map(lambda title: rest | {"title": title}))
RECURRING = st.builds(lambda due, how: {"due": due, "recurrence": how}, DUES, RECURRENCES)
BROKEN = st.sampled_from(
    (
        {"title": ""},
        {"title": None},
        {"is_completed": 1},
        {"description": 1},
        {"colour": "red"},
        *({number.name: number.most + 1} for number in NUMBERS),
        {"due": "2150-01-05"},
        {"recurrence": {}},
        {"label_ids": 1},
    )
)
_FIRST = (
    {"title": "a", "priority": 1},
    {"title": "b", "due": {"date": "2150-01-05"}, "recurrence": {"rrule": "FREQ=DAILY;COUNT=2"}},
)
KEYS = st.none() | st.sampled_from(("one", "two"))
_DEFAULTS = {
    "description": None,
    "is_completed": False,
    "completed_at": None,
    "parent_id": None,
    "due": None,
    "start": None,
    "recurrence": None,
    "label_ids": [],
    "comment_count": 0,
    "assignee_id": None,
    **{number.name: number.default for number in NUMBERS},
}


class TaskRules(Changes):
    """Operations on the user's tasks and on those of others."""

    def registered(self, email: str) -> Session:
        """Begin with some data."""
        session = super().registered(email)
        for body in _FIRST:
            self.add(session, body, None)
        below = {"title": "c", "parent_id": self.task_ids[-1], "is_completed": True}
        self.added(
            session.account, below, self.response(201, session, "POST", "/tasks", json=below)
        )
        return session

    cursors = Bundle("cursors")
    """The cursors that the service returned to both users."""

    @rule(session=Service.sessions, body=NEW, key=KEYS)
    def add(self, session: Session, body: Body, key: str | None) -> None:
        account, pointer = session.account, misfit(None, body)
        sent = {"json": body, **sent_with("Idempotency-Key", key)}
        if pointer and not key:
            self.invalid(pointer, session, "POST", "/tasks", **sent)
            return
        if self.is_refused(session, "POST", "/tasks", **sent):
            return
        stored = account.keys.get(key or "")
        if stored and stored.body != trimmed(body):
            self.problem("idempotency_key_reused", session, "POST", "/tasks", **sent)
            return
        if pointer:
            self.invalid(pointer, session, "POST", "/tasks", **sent)
            return
        response = self.ask(session, "POST", "/tasks", **sent)
        task = response.get_json()
        assert response.status_code == 201, task
        assert response.headers["ETag"] == f'"{task["version"]}"'
        assert response.headers["Location"] == f"/tasks/{task['id']}"
        assert response.headers.get("Idempotency-Replayed") == ("true" if stored else None)
        if stored:
            assert task == stored.response
            return
        self.added(account, body, task)
        if key:
            account.keys[key] = Kept(trimmed(body), task)

    @rule(session=Service.sessions, body=RECURRING)
    def create_recurring_task(self, session: Session, body: Body) -> None:
        self.add(session, {"title": "a"} | body, None)

    @rule(session=Service.sessions, task_id=Service.tasks, condition=CONDITIONS)
    def get(self, session: Session, task_id: int, condition: str | None) -> None:
        path, task = f"/tasks/{task_id}", session.account.tasks.get(task_id)
        sent = sent_with("If-None-Match", condition_on(task, condition))
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
        task_id=Service.tasks,
        method=st.sampled_from(("PUT", "PATCH")),
        body=CHANGES,
        condition=CONDITIONS,
    )
    def change(
        self, session: Session, task_id: int, method: str, body: Body, condition: str | None
    ) -> None:
        task_id = self.near(session.account.tasks, task_id)
        self.change_task(session, task_id, body, method, condition)

    @rule(session=Service.sessions, task_id=Service.tasks, changes=CHANGES)
    def send_whole_task(self, session: Session, task_id: int, changes: Body) -> None:
        """Send a task back with some changes."""
        task = session.account.tasks.get(self.near(session.account.tasks, task_id))
        if task:
            self.change_task(session, task["id"], task | changes, "PUT")

    @rule(session=Service.sessions, task_id=Service.tasks, condition=CONDITIONS)
    def delete(self, session: Session, task_id: int, condition: str | None) -> None:
        path, task = f"/tasks/{task_id}", session.account.tasks.get(task_id)
        sent = sent_with("If-Match", condition_on(task, condition))
        if self.is_out_of_reach(session, "task", task_id, "delete", "DELETE", path, **sent):
            return
        assert task
        if not self.is_stale(session, task, condition, "DELETE", path, **sent):
            self.response(204, session, "DELETE", path, **sent)
            session.account.version += 1
            session.account.remove([task, *session.account.below(task_id)])

    @rule(session=Service.sessions, task_id=Service.tasks, body=BROKEN)
    def break_a_rule(self, session: Session, task_id: int, body: dict[str, Any]) -> None:
        for method, path in (("POST", "/tasks"), ("PUT", f"/tasks/{task_id}")):
            sent = {"json": {"title": "a"} | body}
            name = next(iter(body))
            pointer = "/recurrence/rrule" if name == "recurrence" else f"/{name}"
            self.invalid(pointer, session, method, path, **sent)

    @rule(
        target=cursors,
        session=Service.sessions,
        sort=st.sampled_from(SORTS),
        is_completed=st.none() | st.booleans(),
        limit=st.integers(1, 4),
    )
    def list_pages(
        self, session: Session, sort: str, is_completed: bool | None, limit: int
    ) -> MultipleResults[Cursor]:
        if self.is_refused(session, "GET", "/tasks"):
            return multiple()
        found: list[Cursor] = []
        # Each page is compared with the model, so that a wrong cursor fails at once.
        while cursor := self._page(
            session, sort, is_completed, limit, found[-1] if found else None
        ):
            found.append(cursor)
        return multiple(*found)

    @rule(
        session=Service.sessions,
        after=consumes(cursors),
        sort=st.none() | st.sampled_from(SORTS),
        is_completed=st.none() | st.booleans(),
    )
    def go_on_later(
        self, session: Session, after: Cursor, sort: str | None, is_completed: bool | None
    ) -> None:
        """Continue from a cursor of a list that may have changed, or of another user."""
        query = {"sort": sort or after.sort, "cursor": after.text}
        if sort not in (None, after.sort):
            code = "invalid_input"
            self.problem(code, session, "GET", "/tasks", query_string=query)
        elif not self.is_refused(session, "GET", "/tasks", query_string=query):
            self._page(session, after.sort, is_completed, 1_000, after)

    @rule(session=Service.sessions, condition=CONDITIONS)
    def list_by_update(self, session: Session, condition: str | None) -> None:
        account = session.account
        tag, older = (f'"{account.id}.{version}"' for version in (account.version, 999_999))
        sent = sent_with("If-None-Match", tags(condition, tag, older))
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
        """Request a page, compare it with the model, and return its last row."""
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

    def added(self, account: Account, body: Body, task: Task) -> None:
        """Check the response with a new task, and store it."""
        own = dict.fromkeys(("user_id", "list_id", "workspace_id"), account.id)
        defaults = own | {"position": place_of(task["id"])}
        expected = _DEFAULTS | defaults | written_fields(None, body)
        unseen = [name for name, value in expected.items() if value is UNSEEN]
        assert task == task | expected | dict.fromkeys(unseen, task["updated_at"])
        account.add(task)
        self.task_ids.append(task["id"])

    def check(self, account: Account) -> None:
        """Check that the tasks of an account match the model."""
        super().check(account)
        for session in account.live_sessions()[:1]:
            self._page(session, "-created_at", None, 1_000, None)
