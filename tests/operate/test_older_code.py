"""The previous release works on a newer schema, and detects an incompatible one.

A schema with additional migrations stands for that of the next release.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import httpx
import psycopg
import pytest
from psycopg import sql
from support import databases, revisions, world
from support.contract import Contract
from support.place import CREATED, SETTLE
from support.revisions import flask
from support.servers import serving
from support.visitors import visiting
from support.writers import writing

from taskapi import create_app

pytestmark = pytest.mark.processes

EXPAND = """
op.add_column("tasks", sa.Column("color", sa.BigInteger, server_default=sa.text("0")))
op.add_column("users", sa.Column("nickname", sa.Text))
op.create_check_constraint("color", "tasks", "color >= 0", postgresql_not_valid=True)
op.create_table(
    "colors",
    sa.Column("user_id", sa.BigInteger, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
)
"""
INDEX = """
with op.get_context().autocommit_block():
    op.create_index("ix_color", "tasks", ["color"], postgresql_concurrently=True)
"""
CONTRACT = """op.drop_column("tasks", "description")"""
OLDEST = f'oldest_code = "{revisions.NEXT}"'


@pytest.fixture
def private(server_url: str, template: str, worker_id: str) -> Iterator[str]:
    """The URL of a migrated database for this test."""
    name = f"older_{worker_id}_{time.monotonic_ns()}"
    yield databases.create(server_url, name, template)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def grown(private: str, tmp_path: Path) -> str:
    """The URL of a database with more columns, a table, a constraint and an index."""
    revisions.upgrade(private, revisions.later(tmp_path, EXPAND, INDEX))
    return private


@pytest.mark.parametrize("prepare", ["true", "false"], ids=["prepared", "unprepared"])
def test_older_code_serves_on_a_newer_schema(grown: str, prepare: str) -> None:
    with serving(grown, DATABASE_PREPARE=prepare) as url:
        assert httpx.get(f"{url}/readyz").status_code == 200
        with writing(url) as writers, visiting(url) as visits:
            time.sleep(SETTLE)
    assert set(writers.statuses()) == {CREATED}
    assert visits.total() > 0
    assert visits.unexpected() == {}


def test_older_code_has_nothing_to_migrate_on_a_newer_schema(grown: str) -> None:
    status, output = flask(grown, "db", "upgrade")
    assert status == 0, output
    assert f"ahead of this release ({revisions.HEAD}). Nothing to do" in output


def test_older_code_is_not_ready_on_an_incompatible_schema(
    private: str, tmp_path: Path, contract: Contract
) -> None:
    folder = revisions.later(tmp_path, EXPAND, CONTRACT, marks=OLDEST)
    settings = databases.settings_for(private)
    with world.worker(settings) as app:
        person = world.person(app, contract)
        revisions.upgrade(private, folder, revisions.NEXT)
        person.expect(200, "GET", "/readyz")
        revisions.upgrade(private, folder)
        problem = person.problem(503, "not_ready", "GET", "/readyz")
        assert "no longer supports this release" in problem["detail"]
        for command in (["db", "upgrade"], ["serve"]):
            status, output = flask(private, *command)
            assert status == 1
            assert "no longer supports this release" in output
            assert "Traceback" not in output
        with create_app(settings).app_context():
            flask_migrate.downgrade(folder, revisions.NEXT)
        person.expect(200, "GET", "/readyz")
