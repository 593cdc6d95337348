"""Query plans on large tables: every statement finds its rows through an index.

A page of a list reads about as many rows as it returns, wherever it begins. Plans are made for
specific values and, as PostgreSQL may do for prepared statements, for any values.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from plans.large import CALLER, LIMIT, OWNER, RARE_LABEL, TASK, plan_of, rows_read, scanned

from taskapi.db.pages import Ordering
from taskapi.tasks.filters.conditions import parameters as filled
from taskapi.tasks.filters.grammar import parse
from taskapi.tasks.filters.terms import Clock, Resolver
from taskapi.tasks.orders import SORTS
from taskapi.tasks.pages import Within, filtered_page, task_page
from taskapi.tasks.search import queries as search

PLACES = {
    "created_at": None,
    "updated_at": datetime.now(UTC) - timedelta(days=5),
    "title": "8",
    "due": datetime.fromisoformat("2027-06-01"),
    "priority": 2,
}
"""For each sort, a key near the middle of the list. Positions are those of one list."""

CONSTANT = ("created_at", "due")
"""The orders in which a page costs the same at any size; others sort the workspace's tasks."""

OWN = 20_000

OF_LISTS = {None: 60, 1_000_001: 200, 1_000_002: 220}
"""For each list, the maximum number of tasks that a page of it may read."""


@pytest.mark.parametrize("is_completed", [None, True, False], ids=str)
@pytest.mark.parametrize("resumes", [False, True], ids=["from the start", "from a cursor"])
@pytest.mark.parametrize("is_descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("sort", PLACES)
def test_a_page_reads_as_many_rows_as_it_returns(
    planner: psycopg.Connection,
    sort: str,
    is_descending: bool,
    resumes: bool,
    is_completed: bool | None,
) -> None:
    statement = task_page(
        Ordering(SORTS[sort], is_descending, resumes),
        is_completed=is_completed,
        within=Within.ALL,
    )
    parameters = {"known": [], "limit": LIMIT + 1, **CALLER}
    if resumes:
        parameters |= {"after_id": TASK, "after_key": PLACES[sort]}
    plan = plan_of(planner, statement, parameters)
    assert plan[0]["Actual Rows"] == LIMIT + 1
    assert scanned(plan) == []
    most = 4 * LIMIT + 40 if sort in CONSTANT else OWN
    assert LIMIT < rows_read(plan, "tasks") <= most


@pytest.mark.parametrize("list_id", [None, 1_000_001, 1_000_002], ids=["inbox", "large", "small"])
@pytest.mark.parametrize("sort", SORTS)
def test_a_page_of_a_list_reads_a_bounded_number_of_rows(
    planner: psycopg.Connection, sort: str, list_id: int | None
) -> None:
    within = Within.LIST if list_id else Within.INBOX
    statement = task_page(
        Ordering(SORTS[sort], is_descending=True), is_completed=None, within=within
    )
    parameters = {"known": [], "limit": LIMIT + 1, "list_id": list_id or OWNER, **CALLER}
    plan = plan_of(planner, statement, parameters)
    assert plan[0]["Actual Rows"] == LIMIT + 1
    assert scanned(plan) == []
    is_indexed = sort in ("created_at", "position")
    assert rows_read(plan, "tasks") <= (OF_LISTS[list_id] if is_indexed else 2 * OWN + LIMIT)


FOUND = {
    "parent = 60000": 8,
    "id in (60000, 60006, 60012, 7)": 16,
    "priority > 0 and id in (60000, 60006)": 16,
    "label = 'label 4'": 600,
    f"label = {RARE_LABEL}": 600,
    "label all ('label 4', 'label 3')": 600,
    "due = 2026-12-24": 200,
    "due >= 2026-12-24 and due < 2026-12-27": 400,
    "due <= now": 400,
    "list = small and priority > 1": 400,
    f"list = {1_000_002}": 400,
    "text ~ abcd": 100,
    "text ~ abc and not completed": 400,
    "created = 2026-12-24": 20_000,
}
"""For each filter, the maximum number of the user's 20,000 tasks that a page may read."""


@pytest.mark.parametrize("sort", ["created_at", "title"])
@pytest.mark.parametrize("text", FOUND)
def test_filters_use_an_index(full: psycopg.Connection, text: str, sort: str) -> None:
    # Always planned with their values.
    full.execute("SET plan_cache_mode = force_custom_plan")
    resolver = Resolver(Clock(datetime(2026, 1, 2, tzinfo=UTC), "Asia/Tokyo"), OWNER, OWNER)
    shape = resolver.shape(parse(text))
    statement = filtered_page(
        Ordering(SORTS[sort], is_descending=True), is_completed=None, shape=shape
    )
    given = filled(resolver.values, resolver.references)
    plan = plan_of(full, statement, {"known": [], "limit": LIMIT + 1, **CALLER, **given})
    assert scanned(plan) == []
    assert rows_read(plan, "tasks") <= FOUND[text]


def test_a_search_reads_only_matches(full: psycopg.Connection) -> None:
    full.execute("SET plan_cache_mode = force_custom_plan")
    resolver = Resolver(Clock(datetime(2026, 1, 2, tzinfo=UTC), "UTC"), OWNER, OWNER)
    shape = resolver.shape(parse("text ~ ab"))
    page = Ordering(search.SORTS["rank"], is_descending=True)
    statement = search.search_page(page, is_completed=None, shape=shape)
    given = filled(resolver.values, resolver.references) | {
        "exact": ["'1:ab'"],
        "prefix": ["'1:ab':*"],
    }
    plan = plan_of(full, statement, {"known": [], "limit": LIMIT + 1, **CALLER, **given})
    assert scanned(plan) == []
    (found,) = full.execute(
        "SELECT count(*) FROM tasks WHERE workspace_id = 1 AND title ILIKE 'ab%'"
    ).fetchone() or (0,)
    assert LIMIT < found <= rows_read(plan, "tasks") <= 2 * found


@pytest.mark.parametrize("known", [[30_000], [1, 30_000], None], ids=str)
def test_a_304_reads_no_task(planner: psycopg.Connection, known: list[int] | None) -> None:
    statement = task_page(
        Ordering(SORTS["title"], is_descending=True), is_completed=None, within=Within.ALL
    )
    plan = plan_of(planner, statement, {"known": known, "limit": LIMIT + 1, **CALLER})
    assert rows_read(plan, "tasks") == 0
    assert rows_read(plan, "workspaces") == 1
