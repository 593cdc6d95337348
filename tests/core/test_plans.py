"""Query plans on large tables: every statement finds its rows through an index.

A page of a list reads about as many rows as it shows, wherever it begins. Plans are made both for
known values and, as PostgreSQL may do for prepared statements, for any.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import select
from support import databases

from taskapi.auth import statements as auth
from taskapi.core.pagination import IN_ORDER_OF_CREATION, Reading
from taskapi.core.statement import Statement
from taskapi.filters import statements as filters
from taskapi.filters.conditions import parameters as filled
from taskapi.filters.grammar import parse
from taskapi.filters.terms import Clock, Resolver
from taskapi.labels import statements as labels
from taskapi.lists import statements as lists
from taskapi.occurrences import statements as occurrences
from taskapi.search import statements as search
from taskapi.tasks import subtrees
from taskapi.tasks.models import Task
from taskapi.tasks.orders import SORTS
from taskapi.tasks.statements import Within, found_page, labelling, task_page, tasks

# The fewer workers fill the tables for these tests, the better.

OWNER, SESSION, TASK = 1, 1, 60_000
LABEL, RARE_LABEL = 1_000_005, 1_000_008
LIMIT = 20
FILL = """
INSERT INTO users (email, hashed_password, version, task_count, completed_task_count)
SELECT 'user' || g || '@example.com', '', 30000, 20000, 6666 FROM generate_series(1, 10000) AS g;

INSERT INTO sessions (user_id, family_hash, refresh_hash, expires_at)
SELECT CASE WHEN g <= 200 THEN 1 ELSE g - 199 END, '\\x01', '\\x02', now() + interval '1 day'
FROM generate_series(1, 10199) AS g;

INSERT INTO lists (user_id, id, name) SELECT id, id, 'Inbox' FROM users ON CONFLICT DO NOTHING;

INSERT INTO lists (user_id, id, name) VALUES (1, 1000001, 'Large'), (1, 1000002, 'Small');

INSERT INTO labels (user_id, id, name, version)
SELECT id, 4 * id + 1000000 + n, 'Label ' || n, n
FROM users, generate_series(1, 4) AS n WHERE id <= 1000;

INSERT INTO tasks (user_id, list_id, title, is_completed, version, updated_at, due_date, priority)
SELECT CASE WHEN g % 6 = 0 THEN 1 ELSE 2 + g % 9999 END,
       CASE WHEN g % 24 = 0 THEN 1000001 WHEN g % 1200 = 6 THEN 1000002 END,
       left(CASE WHEN g % 2 = 0 THEN md5(g::text) ELSE upper(md5(g::text)) END, 4),
       g % 9 < 3, g, now() - make_interval(secs => (g * 7919) % 1000003),
       CASE WHEN g % 4 < 3 THEN date '2026-01-01' + (g * 7919) % 997 END, g % 13 % 5
FROM generate_series(1, 120000) AS g;

UPDATE tasks SET label_ids = ARRAY[4 * user_id + 1000001 + id % 3]
|| CASE WHEN id % 1200 = 6 THEN ARRAY[4 * user_id + 1000004] END
WHERE user_id <= 1000 AND id % 12 > 0;

UPDATE tasks SET due_date = '2026-01-05', rrule = 'FREQ=DAILY', recurrence_anchor = 'due',
recurrence_timezone = 'UTC' WHERE user_id <= 100 AND id % 40 = 0;

INSERT INTO occurrences (user_id, task_id, outcome, missed, due_date, version)
SELECT user_id, tasks.id, 'completed', 0, date '2025-01-05' + n, n
FROM tasks, generate_series(1, 40) AS n WHERE rrule IS NOT NULL;

INSERT INTO filters (user_id, name, query, version)
SELECT 1 + g % 1000, 'Filter ' || g, 'completed', g FROM generate_series(1, 10000) AS g;

VACUUM (ANALYZE) users, emails, sessions, lists, labels, filters, tasks, occurrences;
"""
PLACES = {
    "created_at": None,
    "updated_at": datetime.now(UTC) - timedelta(days=5),
    "title": "8",
    "due": datetime.fromisoformat("2027-06-01"),
    "priority": 2,
}
"""For each sort of all tasks, a key about the middle of the list. Places are those of one list."""

CALLER = {"caller_user_id": OWNER, "caller_session_id": SESSION}
ROW = {"id": TASK, "if_match": None, **CALLER}
WRITTEN = {"value_title": "New", "value_description": None, "value_is_completed": True}
LABELLED = {"value_title": "New", "value_label_ids": [LABEL, LABEL + 1]}
ALL_FIELDS = ("description", "is_completed", "title")

Node = dict[str, Any]

OF_ONE_TASK: dict[str, tuple[Statement, Node]] = {
    "get": (tasks._get, ROW),
    "get, if it matches": (tasks._get_matching, ROW | {"if_match": [1, TASK]}),
    "create": (tasks._create(ALL_FIELDS), CALLER | WRITTEN),
    "update": (tasks._update(ALL_FIELDS), ROW | WRITTEN),
    "update, if it matches": (tasks._update(("title",)), ROW | WRITTEN | {"if_match": [TASK]}),
    "delete": (tasks._delete, ROW),
    "why not": (tasks._diagnosis, ROW),
    "create with labels": (tasks._create(("label_ids", "title")), CALLER | LABELLED),
    "update labels": (tasks._update(("label_ids",)), ROW | LABELLED),
    "put a label on": (labelling(adds=True), ROW | {"label_id": LABEL}),
    "take a label off": (labelling(adds=False), ROW | {"label_id": LABEL}),
}
OF_ACCOUNTS = {
    name: statement for name, statement in vars(auth).items() if isinstance(statement, Statement)
}
OF_ACCOUNTS |= {
    "first page of sessions": auth.session_page(Reading(IN_ORDER_OF_CREATION, True, False)),
    "next page of sessions": auth.session_page(Reading(IN_ORDER_OF_CREATION, True, True)),
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
    "user_agent": None,
    "address": "192.0.2.1",
    "after_id": 100,
    "active": True,
    "known": [],
    "limit": LIMIT + 1,
    **CALLER,
}

OF_LISTS = {None: 60, 1_000_001: 200, 1_000_002: 220}
"""For each list, as many of the tasks as may be read for a page of it."""

WHOLE_LIST = 2 * 5_000
"""Of both states; a plan for any list may take it for one of the usual size, and sort it."""

OF_A_LIST: Node = {
    "id": 1_000_002,
    "if_match": None,
    "known": [],
    "limit": LIMIT + 1,
    "value_name": "New",
    "after_id": 1,
    "after_key": Decimal("0.5"),
    "after": Decimal("0.5"),
    "most": LIMIT,
    "ids": [1_000_001],
    "places": [Decimal("0.7")],
}


BELOW: Node = {"parent_id": TASK - 6, "after_id": TASK - 6, "deeper": 1}
OF_A_FAMILY: dict[str, Statement] = {
    "family": subtrees.FAMILY,
    "complete those below": subtrees.COMPLETION,
    "move those below": subtrees.PLACING,
    "delete with those below": subtrees.DELETION,
    "sibling": subtrees.by_hand._sibling,
    "first of a list": subtrees.by_hand._first,
    "followers in a list": subtrees.by_hand._followers,
    "spread": subtrees.by_hand._spreading,
}


def _lists_page(*, is_archived: bool | None, resumes: bool, sort: str = "created_at") -> Statement:
    order = lists.SORTS[sort]
    return lists.list_page(Reading(order, resumes=resumes), is_archived=is_archived)


ABOUT_LISTS: dict[str, Statement] = {
    "page": _lists_page(is_archived=None, resumes=False),
    "next page": _lists_page(is_archived=False, resumes=True),
    "page by hand": _lists_page(is_archived=None, resumes=False, sort="position"),
    "next page by hand": _lists_page(is_archived=False, resumes=True, sort="position"),
    "get": lists.lists._get,
    "create": lists.lists._create(("name",)),
    "update": lists.lists._update(("name",)),
    "why not": lists.lists._diagnosis,
    "delete": lists.deletion(None),
    "delete and move": lists.deletion("move"),
    "delete with tasks": lists.deletion("delete"),
    "sibling": lists.by_hand._sibling,
    "first": lists.by_hand._first,
    "followers": lists.by_hand._followers,
    "spread": lists.by_hand._spreading,
}

OF_A_LABEL: Node = {
    "id": RARE_LABEL,
    "into": LABEL,
    "if_match": None,
    "known": [],
    "limit": LIMIT + 1,
    "value_name": "New",
    "after_id": 1,
    "after_key": "a",
}
ABOUT_LABELS: dict[str, Statement] = {
    "page": labels.label_page(Reading(labels.SORTS["name"], resumes=False)),
    "next page": labels.label_page(Reading(labels.SORTS["name"], resumes=True)),
    "get": labels.labels._get,
    "create": labels.labels._create(("name",)),
    "update": labels.labels._update(("name",)),
    "why not": labels.labels._diagnosis,
    "delete": labels.deletion,
    "merge": labels.merge,
}

OF_A_FILTER: Node = OF_A_LABEL | {"id": 10, "value_query": "completed"}
ABOUT_FILTERS: dict[str, Statement] = {
    "page": filters.filter_page(Reading(filters.SORTS["name"], resumes=False)),
    "next page": filters.filter_page(Reading(filters.SORTS["name"], resumes=True)),
    "get": filters.filters._get,
    "create": filters.filters._create(("name", "query")),
    "update": filters.filters._update(("query",)),
    "delete": filters.filters._delete,
    "why not": filters.filters._diagnosis,
}

OF_A_RECURRING_TASK: Node = {
    "id": 100,
    "task_id": TASK,
    "if_match": None,
    "known": [],
    "limit": LIMIT + 1,
    "after_id": 10**6,
    "value_task_id": TASK,
    "value_outcome": "skipped",
    "value_missed": 0,
    "value_due_date": date(2026, 1, 5),
}
ABOUT_OCCURRENCES: dict[str, Statement] = {
    "last": occurrences.LAST,
    "page": occurrences.occurrence_page(Reading(IN_ORDER_OF_CREATION, True, False)),
    "next page": occurrences.occurrence_page(Reading(IN_ORDER_OF_CREATION, True, True)),
    "create": occurrences.occurrences._create(("due_date", "missed", "outcome", "task_id")),
    "delete": occurrences.occurrences._delete,
}


@pytest.fixture(scope="module")
def full(server_url: str, template: str, worker_id: str) -> Iterator[psycopg.Connection]:
    """A connection to a database with 120,000 tasks, 20,000 of them the owner's."""
    url = databases.create(server_url, f"plans_{worker_id}", template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        for command in FILL.split(";\n\n"):
            connection.execute(command)
        yield connection


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def planner(full: psycopg.Connection, request: pytest.FixtureRequest) -> psycopg.Connection:
    full.execute(f"SET plan_cache_mode = {request.param}")
    return full


def _plan(connection: psycopg.Connection, statement: Statement, parameters: Node) -> list[Node]:
    """The nodes of the plan of a statement, as it ran; what it wrote is taken back."""
    values = statement.values(parameters)
    given = ", ".join(["%s"] * len(values))
    connection.execute(b"PREPARE asked AS " + statement.sql)
    try:
        with connection.transaction(force_rollback=True):
            (found,) = psycopg.ClientCursor(connection).execute(
                f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) EXECUTE asked ({given})",
                values,
            )
    finally:
        connection.execute("DEALLOCATE asked")
    return list(_nodes(found[0][0]["Plan"]))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for part in node.get("Plans", []):
        yield from _nodes(part)


def _scanned(plan: list[Node]) -> list[str]:
    return [node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"]


def _rows_read(plan: list[Node], table: str) -> float:
    """How many rows of a table were looked at, those that were then left out included."""
    left_out = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(
        (node["Actual Rows"] + sum(node.get(reason, 0) for reason in left_out))
        * node["Actual Loops"]
        for node in plan
        if "Scan" in node["Node Type"] and node.get("Relation Name") == table
    )


@pytest.mark.parametrize("is_completed", [None, True, False], ids=str)
@pytest.mark.parametrize("resumes", [False, True], ids=["from the start", "from a cursor"])
@pytest.mark.parametrize("is_descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("sort", PLACES)
def test_a_page_reads_as_many_rows_as_it_shows(
    planner: psycopg.Connection,
    sort: str,
    is_descending: bool,
    resumes: bool,
    is_completed: bool | None,
) -> None:
    statement = task_page(
        Reading(SORTS[sort], is_descending, resumes),
        is_completed=is_completed,
        within=Within.ALL,
    )
    parameters = {"known": [], "limit": LIMIT + 1, **CALLER}
    if resumes:
        parameters |= {"after_id": TASK, "after_key": PLACES[sort]}
    plan = _plan(planner, statement, parameters)
    assert plan[0]["Actual Rows"] == LIMIT + 1
    assert _scanned(plan) == []
    assert LIMIT < _rows_read(plan, "tasks") <= 3 * LIMIT


@pytest.mark.parametrize("list_id", [None, 1_000_001, 1_000_002], ids=["inbox", "large", "small"])
@pytest.mark.parametrize("sort", SORTS)
def test_a_page_of_a_list_reads_no_more_than_the_list_or_a_part_of_the_account(
    planner: psycopg.Connection, sort: str, list_id: int | None
) -> None:
    within = Within.LIST if list_id else Within.INBOX
    statement = task_page(
        Reading(SORTS[sort], is_descending=True), is_completed=None, within=within
    )
    parameters = {"known": [], "limit": LIMIT + 1, "list_id": list_id or OWNER, **CALLER}
    plan = _plan(planner, statement, parameters)
    assert plan[0]["Actual Rows"] == LIMIT + 1
    assert _scanned(plan) == []
    is_generic = planner.execute("SHOW plan_cache_mode").fetchone() == ("force_generic_plan",)
    is_indexed = sort in ("created_at", "position")
    is_sorted = is_generic and list_id == 1_000_001 and not is_indexed
    assert _rows_read(plan, "tasks") <= (WHOLE_LIST if is_sorted else OF_LISTS[list_id])


@pytest.mark.parametrize("name", ABOUT_LISTS)
def test_what_concerns_a_list_reads_the_callers_alone(
    planner: psycopg.Connection, name: str
) -> None:
    plan = _plan(planner, ABOUT_LISTS[name], {**OF_A_LIST, **CALLER})
    assert _scanned(plan) == []
    assert _rows_read(plan, "lists") <= 8
    assert _rows_read(plan, "tasks") <= 101


@pytest.mark.parametrize("name", ABOUT_FILTERS)
def test_what_concerns_a_filter_reads_the_callers_alone(
    planner: psycopg.Connection, name: str
) -> None:
    plan = _plan(planner, ABOUT_FILTERS[name], {**OF_A_FILTER, **CALLER})
    assert _scanned(plan) == []
    assert _rows_read(plan, "filters") <= 2 * (LIMIT + 1)


@pytest.mark.parametrize("name", ABOUT_OCCURRENCES)
def test_what_concerns_an_occurrence_reads_those_of_the_task_alone(
    planner: psycopg.Connection, name: str
) -> None:
    plan = _plan(planner, ABOUT_OCCURRENCES[name], {**OF_A_RECURRING_TASK, **CALLER})
    assert _scanned(plan) == []
    most = {"last": 1, "create": 0, "delete": 2}
    assert _rows_read(plan, "occurrences") <= most.get(name, 40 + LIMIT + 1)
    assert _rows_read(plan, "tasks") == 0


@pytest.mark.parametrize("name", ABOUT_LABELS)
def test_what_concerns_a_label_reads_the_callers_alone(
    planner: psycopg.Connection, name: str
) -> None:
    plan = _plan(planner, ABOUT_LABELS[name], {**OF_A_LABEL, **CALLER})
    assert _scanned(plan) == []
    assert _rows_read(plan, "labels") <= 12
    assert _rows_read(plan, "tasks") <= 101


FOUND = {
    "parent = 60000": 8,
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
"""For each filter, as many of the owner's 20,000 tasks as may be read for a page."""


@pytest.mark.parametrize("sort", ["created_at", "title"])
@pytest.mark.parametrize("text", FOUND)
def test_what_a_filter_finds_is_found_by_an_index(
    full: psycopg.Connection, text: str, sort: str
) -> None:
    # These are always planned with their values.
    full.execute("SET plan_cache_mode = force_custom_plan")
    resolver = Resolver(Clock(datetime(2026, 1, 2, tzinfo=UTC), "Asia/Tokyo"), OWNER)
    shape = resolver.shape(parse(text))
    statement = found_page(Reading(SORTS[sort], is_descending=True), is_completed=None, shape=shape)
    given = filled(resolver.values, resolver.references)
    plan = _plan(full, statement, {"known": [], "limit": LIMIT + 1, **CALLER, **given})
    assert _scanned(plan) == []
    assert _rows_read(plan, "tasks") <= FOUND[text]


def test_a_search_reads_what_it_finds(full: psycopg.Connection) -> None:
    full.execute("SET plan_cache_mode = force_custom_plan")
    resolver = Resolver(Clock(datetime(2026, 1, 2, tzinfo=UTC), "UTC"), OWNER)
    shape = resolver.shape(parse("text ~ ab"))
    page = Reading(search.SORTS["rank"], is_descending=True)
    statement = search.search_page(page, is_completed=None, shape=shape)
    given = filled(resolver.values, resolver.references) | {"asked": "ab"}
    plan = _plan(full, statement, {"known": [], "limit": LIMIT + 1, **CALLER, **given})
    assert _scanned(plan) == []
    (found,) = full.execute(
        "SELECT count(*) FROM tasks WHERE user_id = 1 AND title ILIKE 'ab%'"
    ).fetchone() or (0,)
    assert LIMIT < found <= _rows_read(plan, "tasks") <= 2 * found


@pytest.mark.parametrize("known", [[30_000], [1, 30_000], None], ids=str)
def test_of_a_list_that_the_client_has_no_task_is_read(
    planner: psycopg.Connection, known: list[int] | None
) -> None:
    statement = task_page(
        Reading(SORTS["title"], is_descending=True), is_completed=None, within=Within.ALL
    )
    plan = _plan(planner, statement, {"known": known, "limit": LIMIT + 1, **CALLER})
    assert _rows_read(plan, "tasks") == 0
    assert _rows_read(plan, "users") == 1


@pytest.mark.parametrize("name", OF_ONE_TASK)
def test_what_concerns_one_task_reads_that_task(planner: psycopg.Connection, name: str) -> None:
    statement, parameters = OF_ONE_TASK[name]
    plan = _plan(planner, statement, parameters)
    assert _scanned(plan) == []
    assert plan[0]["Actual Rows"] == 1
    for table in ("tasks", "users", "sessions"):
        assert _rows_read(plan, table) <= 2


@pytest.mark.parametrize("name", OF_A_FAMILY)
@pytest.mark.parametrize("list_id", [OWNER, 1_000_001], ids=["inbox", "list"])
def test_what_concerns_a_tasks_family_or_neighbours_reads_no_more_than_those(
    planner: psycopg.Connection, name: str, list_id: int
) -> None:
    places = {"list_id": list_id, "after": Decimal(TASK), "most": 5}
    spread = {"ids": [TASK, TASK + 6], "places": [Decimal("7.5"), Decimal(8)]}
    plan = _plan(planner, OF_A_FAMILY[name], {"id": TASK, **BELOW, **places, **spread, **CALLER})
    assert _scanned(plan) == []
    assert _rows_read(plan, "tasks") <= 8


@pytest.mark.parametrize("name", OF_ACCOUNTS)
def test_no_statement_on_accounts_reads_those_of_others(
    planner: psycopg.Connection, name: str
) -> None:
    plan = _plan(planner, OF_ACCOUNTS[name], ABOUT_ACCOUNTS)
    assert _scanned(plan) == []
    assert _rows_read(plan, "users") <= LIMIT + 1
    assert _rows_read(plan, "emails") <= 1
    assert _rows_read(plan, "tasks") == 0


@pytest.mark.parametrize("name", ["credentials", "rotate", "revoke", "own_user"])
def test_what_concerns_one_session_reads_that_session(
    planner: psycopg.Connection, name: str
) -> None:
    plan = _plan(planner, OF_ACCOUNTS[name], ABOUT_ACCOUNTS)
    assert plan[0]["Actual Rows"] == 1
    assert _rows_read(plan, "sessions") <= 1
    assert _rows_read(plan, "users") <= 1


def test_these_tests_would_see_a_scan_of_a_whole_table(planner: psycopg.Connection) -> None:
    everyones = Statement(select(Task.__table__.c.id).where(Task.__table__.c.version < TASK))
    plan = _plan(planner, everyones, {})
    assert _scanned(plan) == ["tasks"]
    assert _rows_read(plan, "tasks") == 120_000
