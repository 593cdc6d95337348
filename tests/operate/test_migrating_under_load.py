"""Schema changes under load: no request fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import databases, revisions
from support.place import CREATED, SETTLE, UNAVAILABLE, Figures, sql
from support.servers import started
from support.visitors import Visits, visiting
from support.writers import Writers, writing

pytestmark = [pytest.mark.load, pytest.mark.alone]

TASKS = 200_000
BOUND = 2.4
"""The seconds that a request may use the database; a migration waits at most one second."""

FEW = 20_000
"""For a change that rebuilds indexes under a lock, such as the type of a title."""

FILL = """
WITH owner AS (
    INSERT INTO users (email, hashed_password) VALUES ('much@example.com', 'x') RETURNING id
), workspace AS (
    INSERT INTO workspaces (id, owner_id, name, task_count)
    SELECT id, id, 'Personal', {0} FROM owner RETURNING id
)
INSERT INTO tasks (workspace_id, user_id, title, version)
SELECT id, id, 'Task ' || number, number FROM workspace, generate_series(1, {0}) AS number
"""
EXPAND = """
op.add_column("tasks", sa.Column("of_a_test", sa.BigInteger, server_default=sa.text("0")))
op.create_check_constraint("of_a_test", "tasks", "of_a_test >= 0", postgresql_not_valid=True)
"""
INDEX = """
with op.get_context().autocommit_block():
    op.drop_index("ix_of_a_test", if_exists=True, postgresql_concurrently=True)
    op.create_index(
        "ix_of_a_test", "tasks", ["workspace_id", "of_a_test"], postgresql_concurrently=True
    )
"""
VALIDATE = """op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT ck_tasks_of_a_test")"""
TABLE = """
op.create_table(
    "notes",
    sa.Column("user_id", sa.BigInteger, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
)
"""
WIDEN = """op.alter_column("tasks", "title", type_=sa.String(300))"""


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    return Figures(record_property)


def _filled(server_url: str, template: str, tasks: int) -> str:
    """The URL of a database with this number of tasks."""
    url = databases.create(server_url, f"full_{time.monotonic_ns()}", template)
    sql(url, FILL.format(tasks))
    sql(url, "VACUUM ANALYZE")
    return url


@pytest.fixture
def full(server_url: str, template: str) -> str:
    return _filled(server_url, template, TASKS)


@pytest.fixture
def small(server_url: str, template: str) -> str:
    return _filled(server_url, template, FEW)


@pytest.mark.parametrize("prepare", ["true", "false"], ids=["prepared", "unprepared"])
def test_no_request_fails_while_the_schema_changes(
    full: str, tmp_path: Path, figures: Figures, prepare: str
) -> None:
    folder = revisions.later(tmp_path, EXPAND, INDEX, VALIDATE, TABLE)
    writers, visits = _upgraded_in_use(full, folder, figures, prepare)
    assert visits.unexpected() == {}
    assert set(writers.statuses()) == {CREATED}
    assert writers.slowest() < BOUND


def test_prepared_statements_survive_a_change_of_type(
    small: str, tmp_path: Path, figures: Figures
) -> None:
    """Invalidated statements are prepared again. A transaction fails with a 503.

    At most one for each connection: two workers have sixteen connections.
    """
    folder = revisions.later(tmp_path, WIDEN)
    writers, visits = _upgraded_in_use(small, folder, figures, "true")
    assert visits.unexpected() == {}
    refused = [outcome for outcome in writers.outcomes() if outcome.status != CREATED]
    assert {outcome.status for outcome in refused} <= {UNAVAILABLE}
    assert all(outcome.has_retry_after for outcome in refused)
    assert len(refused) <= 16
    assert writers.slowest() < BOUND


def _upgraded_in_use(
    url: str, folder: str, figures: Figures, prepare: str
) -> tuple[Writers, Visits]:
    """The responses to clients during a migration to the head of a directory."""
    with (
        started(url, DATABASE_PREPARE=prepare) as service,
        writing(service.url) as writers,
        visiting(service.url) as visits,
    ):
        time.sleep(SETTLE)
        begun = time.monotonic()
        revisions.upgrade(url, folder)
        figures.add_seconds("upgraded in", time.monotonic() - begun)
        time.sleep(SETTLE)
    figures.add_writers(writers)
    figures.add("other calls", visits.total())
    return writers, visits
