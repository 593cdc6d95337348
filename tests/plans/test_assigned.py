"""Query plans on large tables: the tasks of an assignee."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from plans.large import CALLER, LIMIT, OWNER, TASK, plan_of, rows_read, scanned

from taskapi.db.pages import BY_CREATION, Ordering
from taskapi.tasks.assignees.queries import assigned_page, unassignment
from taskapi.tasks.filters.conditions import parameters as filled
from taskapi.tasks.filters.grammar import parse
from taskapi.tasks.filters.terms import Clock, Resolver
from taskapi.tasks.orders import SORTS
from taskapi.tasks.pages import filtered_page

SHARED, IN_SHARED = 1_999_001, 100
"""A workspace, and how many of its tasks are assigned to the user."""

WORKSPACES = 50
EVERYWHERE = WORKSPACES * IN_SHARED
FILL = f"""
INSERT INTO workspaces (id, owner_id, name, version)
SELECT {SHARED} - 1 + n, 1, 'Shared', 9 FROM generate_series(1, 200) AS n;

INSERT INTO memberships (workspace_id, user_id, role)
SELECT {SHARED} - 1 + n, user_id, CASE WHEN user_id = {OWNER} THEN 'owner' ELSE 'editor' END
FROM generate_series(1, 200) AS n, generate_series(1, 100) AS user_id
WHERE user_id > 2 OR n <= {WORKSPACES};

UPDATE tasks SET assignee_id = workspace_id
WHERE id % 600 = 0 OR workspace_id <> {OWNER} AND id % 3 = 0;

INSERT INTO tasks (workspace_id, user_id, title, version, is_completed, completed_at, assignee_id)
SELECT {SHARED} + n % {WORKSPACES}, 1, 'Shared', 9, n % 3 = 0, CASE WHEN n % 3 = 0 THEN now() END,
       CASE n / {WORKSPACES} % 4 WHEN 0 THEN {OWNER} WHEN 1 THEN 2 END
FROM generate_series(0, {WORKSPACES * 400 - 1}) AS n;

ANALYZE workspaces, memberships, tasks
"""


@pytest.fixture(scope="module")
def filled_up(full: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The database with 20,000 tasks of shared workspaces, until the module ends."""
    with full.transaction(force_rollback=True):
        for command in FILL.split(";\n\n"):
            full.execute(command)
        yield full


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def shared(filled_up: psycopg.Connection, request: pytest.FixtureRequest) -> psycopg.Connection:
    filled_up.execute(f"SET plan_cache_mode = {request.param}")
    return filled_up


@pytest.mark.parametrize("is_completed", [None, True, False], ids=str)
@pytest.mark.parametrize("resumes", [False, True], ids=["from the start", "from a cursor"])
@pytest.mark.parametrize("workspace_ids", [None, [OWNER]], ids=["all", "limited"])
def test_a_page_of_assigned_tasks_reads_only_tasks_of_the_assignee(
    shared: psycopg.Connection,
    resumes: bool,
    is_completed: bool | None,
    workspace_ids: list[int] | None,
) -> None:
    statement = assigned_page(Ordering(BY_CREATION, True, resumes), is_completed=is_completed)
    given = {"limit": LIMIT + 1, "caller_workspace_ids": workspace_ids, **CALLER}
    if resumes:
        given["after_id"] = TASK
    plan = plan_of(shared, statement, given)
    assert plan[0]["Actual Rows"] == LIMIT + 1
    assert scanned(plan) == []
    if workspace_ids:  # the others are read and skipped
        assert rows_read(plan, "tasks") <= EVERYWHERE + 2 * (LIMIT + 1)
    else:
        assert rows_read(plan, "tasks") <= 2 * (LIMIT + 1)
        assert rows_read(plan, "memberships") <= 2 * WORKSPACES


def test_unassigning_reads_only_the_users_tasks(shared: psycopg.Connection) -> None:
    given = {"caller_workspace_id": SHARED, "assignee_id": OWNER}
    with shared.transaction(force_rollback=True):
        shared.execute("DELETE FROM memberships WHERE user_id = %s", [OWNER])
        plan = plan_of(shared, unassignment, given)
    assert scanned(plan) == []
    assert IN_SHARED <= rows_read(plan, "tasks") <= 3 * IN_SHARED


@pytest.mark.parametrize("sort", ["created_at", "title"])
@pytest.mark.parametrize("text", ["assignee = me", "assignee = 2 and not completed"])
def test_filters_by_the_assignee_use_the_index(
    filled_up: psycopg.Connection, text: str, sort: str
) -> None:
    filled_up.execute("SET plan_cache_mode = force_custom_plan")
    for workspace_id, number in ((OWNER, 200), (SHARED, IN_SHARED)):
        caller = CALLER | {"caller_workspace_id": workspace_id, "caller_writes": False}
        resolver = Resolver(Clock(datetime(2026, 1, 2, tzinfo=UTC), "UTC"), workspace_id, OWNER)
        shape = resolver.shape(parse(text))
        ordering = Ordering(SORTS[sort], is_descending=True)
        statement = filtered_page(ordering, is_completed=None, shape=shape)
        given = filled(resolver.values, resolver.references)
        plan = plan_of(filled_up, statement, {"known": [], "limit": LIMIT + 1, **caller, **given})
        assert scanned(plan) == []
        assert rows_read(plan, "tasks") <= number
