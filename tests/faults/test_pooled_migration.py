"""A migration through a pooler leaves no settings on the pooler's connections."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import revisions
from support.pgbouncer import bouncing
from support.place import new_database, sql

pytestmark = [pytest.mark.faults, pytest.mark.alone]

INDEX = """
with op.get_context().autocommit_block():
    op.create_index("ix_title", "tasks", ["title"], postgresql_concurrently=True)
"""
SAY_LIMITS = """
for name in ("lock_timeout", "statement_timeout"):
    found = op.get_bind().exec_driver_sql(f"SHOW {name}").scalar()
    op.execute(f"INSERT INTO observed VALUES ('{name}', '{found}')")
"""


def test_a_migration_through_a_pooler_leaves_no_session_state(
    faults_folder: Path, tmp_path: Path, run_folder: Path
) -> None:
    """Its timeouts apply to each transaction, also after a concurrent index."""
    folder = revisions.later(tmp_path, SAY_LIMITS, INDEX + SAY_LIMITS)
    with new_database(faults_folder) as url:
        sql(url, "CREATE TABLE observed (name text, value text)")
        with bouncing(url, run_folder) as bouncer:
            revisions.upgrade(bouncer.url, folder)
            assert bouncer.leaked_settings() == {}
            assert sql(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
        observed = sql(url, "SELECT name, value, count(*) FROM observed GROUP BY 1, 2 ORDER BY 1")
    assert observed == [("lock_timeout", "1s", 2), ("statement_timeout", "0", 2)]
