"""The state that the service should have after each step: accounts, sessions and tasks."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from unicodedata import normalize

Row = dict[str, Any]
Task = Row
Occurrence = Row

UNSEEN = object()
"""The time of the last write to a task, until a response has shown it."""


@dataclass
class Session:
    """A session with the tokens of its client."""

    account: Account
    id: int
    access_token: str
    refresh_tokens: list[str]
    """All its refresh tokens, the current one last."""

    is_live: bool = True
    refreshes: list[float] = field(default_factory=list)


class Kept(NamedTuple):
    """A request with an idempotency key, and its response."""

    body: dict[str, Any]
    response: Task


class PastOccurrence(NamedTuple):
    """A past occurrence, the count of its task before it, and the days that the due moved."""

    returned: Occurrence
    occurred: int | None
    days: int


@dataclass
class Account:
    """An account with all its data."""

    email: str
    password: str
    user: dict[str, Any]
    version: int = 0
    is_deleted: bool = False
    sessions: list[Session] = field(default_factory=list)
    stored: dict[str, dict[int, Row]] = field(default_factory=lambda: defaultdict(dict))
    """Its rows by resource, such as `task`, and by ID."""

    histories: dict[int, list[PastOccurrence]] = field(default_factory=dict)
    keys: dict[str, Kept] = field(default_factory=dict)
    last_place: int = 0
    """IDs and positions come from one sequence."""

    last_moment: datetime = datetime.fromisoformat("1970-01-01T00:00:00Z")

    @property
    def id(self) -> int:
        return int(self.user["id"])

    def rows(self, noun: str) -> dict[int, Row]:
        """Its rows of a resource."""
        return self.stored[noun]

    @property
    def tasks(self) -> dict[int, Task]:
        return self.rows("task")

    @property
    def lists(self) -> dict[int, Row]:
        return self.rows("list")

    @property
    def labels(self) -> dict[int, Row]:
        return self.rows("label")

    def live_sessions(self) -> list[Session]:
        """Newest first."""
        live = [session for session in self.sessions if session.is_live]
        return sorted(live, key=lambda session: session.id, reverse=True)

    def end_sessions(self, *, but: Session | None = None) -> int:
        """End the live sessions. Returns their number."""
        ended = [session for session in self.live_sessions() if session is not but]
        for session in ended:
            session.is_live = False
        return len(ended)

    def delete(self) -> None:
        self.end_sessions()
        self.stored.clear()
        self.histories.clear()
        self.is_deleted = True

    def follow(self, row: dict[str, Any]) -> None:
        """Check that a response after a write has the next version."""
        moment = datetime.fromisoformat(row["updated_at"])
        assert row["version"] == self.version + 1
        assert moment > self.last_moment
        self.version, self.last_moment = row["version"], moment

    def write(self, noun: str, row: Row) -> None:
        """Store a row from the response to a write."""
        self.follow(row)
        self.rows(noun)[row["id"]] = row

    def add(self, task: Task) -> None:
        """Store a new task."""
        assert task["created_at"] == task["updated_at"]
        self.take_place(task["id"])
        self.write("task", task)

    def take_place(self, number: int) -> None:
        """Check that a new ID or position is greater than all others."""
        assert number > self.last_place
        self.last_place = number

    def remove(self, tasks: Iterable[Task]) -> None:
        """Delete tasks with their history and their comments."""
        for task in list(tasks):
            del self.tasks[task["id"]]
            self.histories.pop(task["id"], None)
            comments = self.rows("comment").items()
            self.stored["comment"] = {n: c for n, c in comments if c["task_id"] != task["id"]}

    def inside(self, list_id: int) -> list[Task]:
        """The tasks of a list in the manual order."""
        found = [task for task in self.tasks.values() if task["list_id"] == list_id]
        return sorted(found, key=lambda task: place(task, "position"))

    def below(self, task_id: int) -> list[Task]:
        """All subtasks of a task."""
        children = [task for task in self.tasks.values() if task["parent_id"] == task_id]
        return children + [task for child in children for task in self.below(child["id"])]

    def depth(self, task: Task) -> int:
        """The depth of a task."""
        parent_id = task["parent_id"]
        return 0 if parent_id is None else 1 + self.depth(self.tasks[parent_id])

    def height(self, task: Task | None, below: list[Task]) -> int:
        """The height of the tree of subtasks of a task."""
        return max((self.depth(one) for one in below), default=0) - self.depth(task) if below else 0

    def leave(self, task: Task, **changes: Any) -> None:
        """Record a task that the last write changed without returning it."""
        written = {"version": self.version, "updated_at": UNSEEN}
        self.tasks[task["id"]] = task | changes | written

    def write_together(self, tasks: list[Task], **changes: Any) -> bool:
        """Record a write of several tasks. Returns whether there are any."""
        self.version += bool(tasks)
        for task in tasks:
            self.leave(task, **changes)
        return bool(tasks)

    def recognize(self, found: list[Task]) -> None:
        """Check that tasks match the model, and record the times of writes."""
        assert {task["id"] for task in found} == self.tasks.keys()
        for task in found:
            stored = self.tasks[task["id"]]
            unseen = {name for name in stored if stored[name] is UNSEEN}
            assert task == stored | dict.fromkeys(unseen, task["updated_at"])
            self.tasks[task["id"]] = task
        moments = {task["version"]: task["updated_at"] for task in found}
        assert moments == {task["version"]: task["updated_at"] for task in reversed(found)}
        in_order = [datetime.fromisoformat(moments[version]) for version in sorted(moments)]
        assert in_order == sorted(set(in_order))


class Cursor(NamedTuple):
    """A cursor of the service, and the last task before it as it was then."""

    text: str
    sort: str
    last: Task


def ascii_lower(text: str) -> str:
    """The sort key of a text."""
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), text)


def folded(name: str) -> str:
    """The form in which names are compared."""
    return normalize("NFC", normalize("NFD", name).casefold())


def is_taken(rows: Iterable[Row], name: str, but: int = 0) -> bool:
    """Whether a row other than `but` has this name."""
    return folded(name) in {folded(row["name"]) for row in rows if row["id"] != but}


def place(task: Task, sort: str) -> tuple[Any, ...]:
    """The sort key of a task."""
    name = sort.lstrip("-")
    keys: dict[str, Callable[[Any], Any]] = {
        "created_at": lambda _: 0,
        "updated_at": datetime.fromisoformat,
        "title": ascii_lower,
        "due": _wall,
    }
    key = keys.get(name, lambda value: math.inf if value is None else value)
    return key(task[name]), task["id"]


def _wall(due: dict[str, str] | None) -> str:
    """The local time of a due: the end of a day for a date, and never for none."""
    if due is None:
        return "9999-12-31T00:00:00"
    return due["datetime"] if "datetime" in due else f"{due['date']}T23:59:59.999999"


def in_order(
    account: Account, sort: str, is_completed: bool | None, after: Cursor | None = None
) -> list[Task]:
    """The tasks of a list after a cursor."""
    is_descending = sort.startswith("-")

    def is_after(task: Task) -> bool:
        if after is None:
            return True
        here, there = place(task, sort), place(after.last, sort)
        return here < there if is_descending else here > there

    found = [task for task in filtered(account, is_completed) if is_after(task)]
    return sorted(found, key=lambda task: place(task, sort), reverse=is_descending)


def filtered(account: Account, is_completed: bool | None) -> Iterator[Task]:
    """The tasks that are completed, or open, or all."""
    return (task for task in account.tasks.values() if is_completed in (None, task["is_completed"]))
