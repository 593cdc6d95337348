"""A migration blocks no request: it waits a moment for a table, and leaves nothing behind."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support import databases, revisions, world
from support.contract import Contract

pytestmark = pytest.mark.processes

_numbers = itertools.count(1)

ADD = """op.add_column("tasks", sa.Column("of_a_test", sa.BigInteger, server_default="0"))"""
INDEX = """
with op.get_context().autocommit_block():
    op.create_index("ix_of_a_test", "tasks", ["of_a_test"], postgresql_concurrently=True)
"""


@pytest.fixture
def private(server_url: str, template: str, worker_id: str) -> Iterator[str]:
    """The URL of a migrated database for this test."""
    name = f"migrating_{worker_id}_{next(_numbers)}"
    yield databases.create(server_url, name, template)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


def _upgrading(url: str, folder: str) -> subprocess.Popen[str]:
    """A running `flask db upgrade`."""
    return revisions.flask_at_work(url, "db", "upgrade", "-d", folder)


def _revision(url: str) -> str:
    ((found,),) = world.sql(databases.settings_for(url), "SELECT version_num FROM alembic_version")
    return str(found)


def test_a_migration_retries_while_its_table_is_locked(private: str, tmp_path: Path) -> None:
    settings, folder = databases.settings_for(private), revisions.later(tmp_path, ADD)
    with world.holding(settings, "SELECT FROM tasks LIMIT 1") as holder:
        upgrade = _upgrading(private, folder)
        world.until_blocked(settings, 1)
        time.sleep(1.5)
        assert world.sql(settings, "SELECT count(*) FROM tasks") == [(0,)], "somebody queues"
        holder.rollback()
    output, _ = upgrade.communicate(timeout=30)
    assert upgrade.returncode == 0, output
    assert "The migration waits for a lock: canceling statement due to lock timeout" in output
    assert _revision(private) == revisions.NEXT


def test_a_migration_that_never_gets_its_lock_fails_and_changes_nothing(
    private: str, tmp_path: Path
) -> None:
    settings, folder = databases.settings_for(private), revisions.later(tmp_path, ADD)
    with world.holding(settings, "SELECT FROM tasks LIMIT 1"):
        upgrade = _upgrading(private, folder)
        output, _ = upgrade.communicate(timeout=60)
    assert upgrade.returncode == 1
    assert "The migration failed after 5 attempts" in output
    assert "Traceback" not in output
    assert _revision(private) == revisions.HEAD


def test_concurrent_index_migrations_do_not_deadlock(private: str, tmp_path: Path) -> None:
    settings, folder = databases.settings_for(private), revisions.later(tmp_path, ADD, INDEX)
    with world.holding(settings, "INSERT INTO users (email, hashed_password) VALUES ('a@b', 'x')"):
        both = [_upgrading(private, folder) for _ in range(2)]
        time.sleep(4)
    for one in both:
        output, _ = one.communicate(timeout=30)
        assert one.returncode == 0, output
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_of_a_test'::regclass"
    assert world.sql(settings, valid) == [(True,)]


def test_a_concurrent_index_may_take_longer_than_the_statement_timeout(
    private: str, tmp_path: Path
) -> None:
    settings, folder = databases.settings_for(private), revisions.later(tmp_path, ADD, INDEX)
    name = psycopg.conninfo.conninfo_to_dict(private)["dbname"]
    world.sql(settings, f"ALTER DATABASE {name} SET statement_timeout = '500ms'")
    revisions.upgrade(private, folder, revisions.NEXT)
    with world.holding(settings, "LOCK tasks IN ROW EXCLUSIVE MODE") as holder:
        upgrade = _upgrading(private, folder)
        world.until_blocked(settings, 1)
        time.sleep(1)
        holder.rollback()
    output, _ = upgrade.communicate(timeout=30)
    assert upgrade.returncode == 0, output


def test_statements_are_prepared_again_after_a_change_of_type(
    private: str, tmp_path: Path, contract: Contract
) -> None:
    folder = revisions.later(
        tmp_path, """op.alter_column("tasks", "title", type_=sa.String(300))"""
    )
    settings = databases.settings_for(private, database_prepare=True, database_pool_size=1)
    with world.worker(settings) as app:
        user = world.person(app, contract).registered()
        task = user.task(title="Before")
        revisions.upgrade(private, folder)
        assert user.expect(200, "GET", "/tasks")["tasks"] == [task]
        user.task(title="After")
        keyed = {"headers": {"Idempotency-Key": "k"}, "json": {"title": "Once"}}
        world.sql(settings, "ALTER TABLE tasks ALTER title TYPE varchar(301)")
        user.problem(503, "unavailable", "POST", "/tasks", **keyed)
        user.expect(201, "POST", "/tasks", **keyed)
        assert user.expect(200, "GET", "/tasks")["total"] == 3
