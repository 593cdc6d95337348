"""Query plans on large tables: an operation on a row reads only that row."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from plans.large import (
    CALLER,
    LABEL,
    LIMIT,
    OWNER,
    RARE_LABEL,
    SESSION,
    TASK,
    Node,
    plan_of,
    rows_read,
    scanned,
)
from sqlalchemy import select

from taskapi.auth import queries as auth
from taskapi.auth import refresh_queries
from taskapi.auth.personal_tokens import queries as personal_tokens
from taskapi.auth.profile import queries as profile
from taskapi.db.content_table import ContentTable
from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.db.quotas import TOTALS
from taskapi.db.statement import Statement
from taskapi.identity import Caller
from taskapi.tasks import subtrees
from taskapi.tasks.comments import queries as comments
from taskapi.tasks.filters import queries as filters
from taskapi.tasks.labels import queries as labels
from taskapi.tasks.lists import queries as lists
from taskapi.tasks.models import Task
from taskapi.tasks.occurrences import queries as occurrences
from taskapi.tasks.queries import labelling, tasks

ROW = {"id": TASK, "if_match": None, **CALLER}
ME = Caller.of(OWNER, SESSION)


def written(table: ContentTable[Any], **values: Any) -> Node:
    """The parameters of a write of these values."""
    limits = {f"quota_{total}": 10**9 for total in TOTALS}
    return {"given": table.sql.given(values), **limits, **table.sql.parameters(ME, values)}


WRITTEN = written(
    tasks,
    title="New",
    description=None,
    is_completed=True,
    **dict.fromkeys(("rrule", "recurrence_anchor", "recurrence_timezone")),
)
ASSIGNED = written(tasks, title="New", assignee_id=OWNER)
LABELLED = written(tasks, title="New", label_ids=[LABEL, LABEL + 1])

OF_ONE_TASK: dict[str, tuple[Statement, Node]] = {
    "get": (tasks.sql.get, ROW),
    "get, if it matches": (tasks.sql.get_matching, ROW | {"if_match": [1, TASK]}),
    "create": (tasks.sql.create, CALLER | WRITTEN),
    "update": (tasks.sql.update_standalone, ROW | WRITTEN),
    "update, if it matches": (tasks.sql.update, ROW | WRITTEN | {"if_match": [TASK]}),
    "delete": (tasks.sql.delete, ROW),
    "why not": (tasks.sql.diagnosis, ROW),
    "create with labels": (tasks.sql.create, CALLER | LABELLED),
    "update labels": (tasks.sql.update, ROW | LABELLED),
    "put a label on": (labelling(adds=True), ROW | {"label_id": LABEL}),
    "take a label off": (labelling(adds=False), ROW | {"label_id": LABEL}),
    "create with an assignee": (tasks.sql.create, CALLER | ASSIGNED),
    "update the assignee": (tasks.sql.update, ROW | ASSIGNED),
}
OF_ACCOUNTS = {
    name: statement
    for module in (auth, refresh_queries, profile, personal_tokens)
    for name, statement in vars(module).items()
    if isinstance(statement, Statement)
}
OF_ACCOUNTS |= {
    "first page of sessions": auth.session_page(Ordering(BY_CREATION, True, False)),
    "next page of sessions": auth.session_page(Ordering(BY_CREATION, True, True)),
    "first page of tokens": personal_tokens.token_page(Ordering(BY_CREATION, True, False)),
}
ABOUT_ACCOUNTS: Node = {
    "user_id": OWNER,
    "session_id": SESSION,
    "id": SESSION,
    "email": "user5@example.com",
    "hashed_password": "",
    "new_hash": "x",
    "refresh_hash": b"\2",
    "next_hash": b"\3",
    "family_hash": b"\1",
    "lifetime": 60,
    "quota_sessions": 200,
    "token_hash": b"\4",
    "name": "A",
    "scopes": ["tasks:read"],
    "workspace_ids": [OWNER],
    "expires_at": None,
    "quota": 100,
    **dict.fromkeys(profile.PROFILE, "A"),
    "notices": True,
    **dict.fromkeys(map(profile.given, profile.PROFILE), True),
    "last_id": 101,
    "user_agent": None,
    "address": "192.0.2.1",
    "after_id": 100,
    "active": True,
    "known": [],
    "limit": LIMIT + 1,
    **CALLER,
}

OF_A_LIST: Node = {
    "id": 1_000_002,
    "if_match": None,
    "known": [],
    "limit": LIMIT + 1,
    **written(lists.lists, name="New", name_key="new"),
    "after_id": 1,
    "after_key": Decimal("0.5"),
    "after": Decimal("0.5"),
    "most": LIMIT,
    "ids": [1_000_001],
    "positions": [Decimal("0.7")],
}


BELOW: Node = {
    "parent_id": TASK - 6,
    "after_id": TASK - 6,
    "deeper": 1,
    "completed_at": None,
    "moments": f'[{{"id": {TASK}, "due_date": "2026-01-05"}}]',
}
OF_A_FAMILY: dict[str, Statement] = {
    "family": subtrees.FAMILY,
    "complete those below": subtrees.COMPLETION,
    "dates of those below": subtrees.DATED,
    "move the dates of those below": subtrees.REDATING,
    "move those below": subtrees.RELOCATION,
    "delete with those below": subtrees.DELETION,
    "sibling": subtrees.manual_order.sibling,
    "first of a list": subtrees.manual_order.first,
    "followers in a list": subtrees.manual_order.followers,
    "spread": subtrees.manual_order.spreading,
}


def _lists_page(*, is_archived: bool | None, resumes: bool, sort: str = "created_at") -> Statement:
    order = lists.SORTS[sort]
    return lists.list_page(Ordering(order, resumes=resumes), is_archived=is_archived)


ABOUT_LISTS: dict[str, Statement] = {
    "page": _lists_page(is_archived=None, resumes=False),
    "next page": _lists_page(is_archived=False, resumes=True),
    "page by hand": _lists_page(is_archived=None, resumes=False, sort="position"),
    "next page by hand": _lists_page(is_archived=False, resumes=True, sort="position"),
    "get": lists.lists.sql.get,
    "create": lists.lists.sql.create,
    "update": lists.lists.sql.update,
    "why not": lists.lists.sql.diagnosis,
    "delete": lists.deletion(None),
    "delete and move": lists.deletion("move"),
    "delete with tasks": lists.deletion("delete"),
    "sibling": lists.manual_order.sibling,
    "first": lists.manual_order.first,
    "followers": lists.manual_order.followers,
    "spread": lists.manual_order.spreading,
}

OF_A_LABEL: Node = {
    "id": RARE_LABEL,
    "into": LABEL,
    "if_match": None,
    "known": [],
    "limit": LIMIT + 1,
    **written(labels.labels, name="New", name_key="new"),
    "after_id": 1,
    "after_key": "a",
}
ABOUT_LABELS: dict[str, Statement] = {
    "page": labels.label_page(Ordering(labels.SORTS["name"], resumes=False)),
    "next page": labels.label_page(Ordering(labels.SORTS["name"], resumes=True)),
    "get": labels.labels.sql.get,
    "create": labels.labels.sql.create,
    "update": labels.labels.sql.update,
    "why not": labels.labels.sql.diagnosis,
    "delete": labels.deletion,
    "merge": labels.merge,
}

OF_A_FILTER: Node = OF_A_LABEL | {
    "id": 10,
    **written(filters.filters, name="New", name_key="new", query="completed"),
}
ABOUT_FILTERS: dict[str, Statement] = {
    "page": filters.filter_page(Ordering(filters.SORTS["name"], resumes=False)),
    "next page": filters.filter_page(Ordering(filters.SORTS["name"], resumes=True)),
    "get": filters.filters.sql.get,
    "create": filters.filters.sql.create,
    "update": filters.filters.sql.update,
    "delete": filters.filters.sql.delete,
    "why not": filters.filters.sql.diagnosis,
}

OF_A_RECURRING_TASK: Node = {
    "id": 100,
    "task_id": TASK,
    "if_match": None,
    "known": [],
    "limit": LIMIT + 1,
    "after_id": 10**6,
    **written(
        occurrences.occurrences,
        task_id=TASK,
        outcome="skipped",
        missed=0,
        due_date=date(2026, 1, 5),
    ),
}
ABOUT_OCCURRENCES: dict[str, Statement] = {
    "last": occurrences.LAST,
    "page": occurrences.occurrence_page(Ordering(BY_CREATION, True, False)),
    "next page": occurrences.occurrence_page(Ordering(BY_CREATION, True, True)),
    "create": occurrences.occurrences.sql.create,
    "delete": occurrences.occurrences.sql.delete,
}
OF_A_COMMENT: Node = {
    "id": 100,
    "task_id": TASK,
    "if_match": None,
    "known": [],
    "limit": LIMIT + 1,
    "after_id": 10**6,
    **written(comments.comments, task_id=TASK, text="New"),
}
ABOUT_COMMENTS: dict[str, Statement] = {
    "page": comments.comment_page(Ordering(BY_CREATION, True, False)),
    "next page": comments.comment_page(Ordering(BY_CREATION, True, True)),
    "create": comments.comments.sql.create,
    "get": comments.comments.sql.get,
    "update": comments.comments.sql.update_simple,
    "delete": comments.comments.sql.delete,
    "diagnosis": comments.comments.sql.diagnosis,
}


@pytest.mark.parametrize("name", ABOUT_LISTS)
def test_list_operations_read_only_the_callers_rows(planner: psycopg.Connection, name: str) -> None:
    plan = plan_of(planner, ABOUT_LISTS[name], {**OF_A_LIST, **CALLER})
    assert scanned(plan) == []
    # A page sums the counts of all lists, of which there are few, for those of the inbox.
    assert rows_read(plan, "lists") <= 12
    assert rows_read(plan, "tasks") <= 101


@pytest.mark.parametrize("name", ABOUT_FILTERS)
def test_filter_operations_read_only_the_callers_rows(
    planner: psycopg.Connection, name: str
) -> None:
    plan = plan_of(planner, ABOUT_FILTERS[name], {**OF_A_FILTER, **CALLER})
    assert scanned(plan) == []
    assert rows_read(plan, "saved_filters") <= 2 * (LIMIT + 1)


@pytest.mark.parametrize("name", ABOUT_OCCURRENCES)
def test_occurrence_operations_read_only_the_tasks_rows(
    planner: psycopg.Connection, name: str
) -> None:
    plan = plan_of(planner, ABOUT_OCCURRENCES[name], {**OF_A_RECURRING_TASK, **CALLER})
    assert scanned(plan) == []
    most = {"last": 1, "create": 0, "delete": 2}
    assert rows_read(plan, "occurrences") <= most.get(name, 40 + LIMIT + 1)
    assert rows_read(plan, "tasks") == 0


@pytest.mark.parametrize("name", ABOUT_COMMENTS)
def test_comment_operations_read_only_the_tasks_rows(
    planner: psycopg.Connection, name: str
) -> None:
    plan = plan_of(planner, ABOUT_COMMENTS[name], {**OF_A_COMMENT, **CALLER})
    assert scanned(plan) == []
    assert rows_read(plan, "comments") <= (LIMIT + 1 if "page" in name else 2)
    assert rows_read(plan, "tasks") <= 2


@pytest.mark.parametrize("name", ABOUT_LABELS)
def test_label_operations_read_only_the_callers_rows(
    planner: psycopg.Connection, name: str
) -> None:
    plan = plan_of(planner, ABOUT_LABELS[name], {**OF_A_LABEL, **CALLER})
    assert scanned(plan) == []
    assert rows_read(plan, "labels") <= 12
    # Its tasks are counted, then changed.
    assert rows_read(plan, "tasks") <= 201


@pytest.mark.parametrize("name", OF_ONE_TASK)
def test_task_operations_read_only_that_task(planner: psycopg.Connection, name: str) -> None:
    statement, parameters = OF_ONE_TASK[name]
    plan = plan_of(planner, statement, parameters)
    assert scanned(plan) == []
    # The task recurs, so that a single statement does not delete it.
    assert plan[0]["Actual Rows"] == (name != "delete")
    for table in ("tasks", "task_words", "workspaces", "sessions"):
        assert rows_read(plan, table) <= 2


@pytest.mark.parametrize("name", OF_A_FAMILY)
@pytest.mark.parametrize("list_id", [OWNER, 1_000_001], ids=["inbox", "list"])
def test_subtask_operations_and_moves_read_only_the_rows_involved(
    planner: psycopg.Connection, name: str, list_id: int
) -> None:
    places = {"list_id": list_id, "after": Decimal(TASK), "most": 5}
    spread = {"ids": [TASK, TASK + 6], "positions": [Decimal("7.5"), Decimal(8)]}
    plan = plan_of(planner, OF_A_FAMILY[name], {"id": TASK, **BELOW, **places, **spread, **CALLER})
    assert scanned(plan) == []
    assert rows_read(plan, "tasks") <= 8


@pytest.mark.parametrize("name", OF_ACCOUNTS)
def test_account_statements_read_only_that_account(planner: psycopg.Connection, name: str) -> None:
    plan = plan_of(planner, OF_ACCOUNTS[name], ABOUT_ACCOUNTS)
    assert scanned(plan) == []
    assert rows_read(plan, "users") <= LIMIT + 1
    assert rows_read(plan, "tasks") == 0


@pytest.mark.parametrize("name", ["credentials", "rotate", "revoke", "own_account", "own_timezone"])
def test_session_operations_read_only_that_session(planner: psycopg.Connection, name: str) -> None:
    plan = plan_of(planner, OF_ACCOUNTS[name], ABOUT_ACCOUNTS)
    assert plan[0]["Actual Rows"] == 1
    assert rows_read(plan, "sessions") <= 1
    assert rows_read(plan, "users") <= 1


def test_a_sequential_scan_is_detected(planner: psycopg.Connection) -> None:
    everyones = Statement(select(Task.__table__.c.id).where(Task.__table__.c.version < TASK))
    plan = plan_of(planner, everyones, {})
    assert scanned(plan) == ["tasks"]
    assert rows_read(plan, "tasks") == 120_000
