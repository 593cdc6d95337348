"""A migration behind a pooler leaves nothing on the pooler's connections."""

from __future__ import annotations

from pathlib import Path

import flask_migrate
import pytest
from support import databases, revisions
from support.pgbouncer import bouncing
from support.place import new_database, sql

from taskapi import create_app

pytestmark = [pytest.mark.faults, pytest.mark.alone]

INDEX = """
with op.get_context().autocommit_block():
    op.create_index("ix_title", "tasks", ["title"], postgresql_concurrently=True)
"""
SAY_LIMITS = """
for name in ("lock_timeout", "statement_timeout"):
    found = op.get_bind().exec_driver_sql(f"SHOW {name}").scalar()
    op.execute(f"INSERT INTO said VALUES ('{name}', '{found}')")
"""


def test_behind_a_pooler_nothing_of_a_migration_is_left(
    faults_folder: Path, tmp_path: Path, run_folder: Path
) -> None:
    """Its limits hold in each transaction, one after an index that was made concurrently too."""
    folder = revisions.later(tmp_path, SAY_LIMITS, INDEX + SAY_LIMITS)
    with new_database(faults_folder) as url:
        sql(url, "CREATE TABLE said (name text, value text)")
        with bouncing(url, run_folder) as bouncer:
            revisions.upgrade(bouncer.url, folder)
            assert bouncer.leaked_settings() == {}
            assert sql(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
        said = sql(url, "SELECT name, value, count(*) FROM said GROUP BY 1, 2 ORDER BY 1")
    assert said == [("lock_timeout", "1s", 2), ("statement_timeout", "0", 2)]


def test_behind_a_pooler_what_is_new_is_filled_a_thousand_at_a_time(
    faults_folder: Path, run_folder: Path
) -> None:
    """The statements that do it commit several times, on one connection of the pooler's."""
    some = "SELECT n || '@example.com', '' FROM generate_series(1, 2500) n"
    with new_database(faults_folder) as url:
        with create_app(databases.settings_for(url)).app_context():
            flask_migrate.downgrade(databases.MIGRATIONS, "0003")
        sql(url, f"INSERT INTO users (email, hashed_password) {some}")
        with bouncing(url, run_folder) as bouncer:
            databases.migrate(bouncer.url)
            assert bouncer.leaked_settings() == {}
        for table in ("emails", "lists"):
            filled = f"SELECT count(*), count(DISTINCT xmin::text) FROM {table}"
            assert sql(url, filled) == [(2500, 3)]
