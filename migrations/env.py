"""Runs migrations, one process at a time, with short waits for locks.

Each migration is a transaction. Settings and the migration lock are local to transactions, so they
also work behind a pooler.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import click
import psycopg
from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.util import CommandError
from flask import current_app
from psycopg import errors
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from taskapi.server.health.service import SCHEMA, TooOld, check_schema, migration_head

# An arbitrary number that nothing else in the database uses.
MIGRATION_LOCK = 7_283_461_905

LOCK_TIMEOUT = "1s"
"""Requests queue behind a migration that waits for a table, so this is less than their limit."""

ATTEMPTS, PAUSE = 5, 2.0
"""The number of attempts to get the locks, and the seconds between them."""


def migrate(engine: Engine) -> None:
    """Run the migrations. Concurrent processes wait, so two first starts work.

    Raises:
        CommandError: the locks were not available.
    """
    with migration_lock(engine), engine.connect() as connection:
        event.listen(connection, "begin", set_timeouts)
        configure(connection=connection)
        if is_ahead():
            return
        for left in reversed(range(ATTEMPTS)):
            try:
                run()
                return
            except OperationalError as error:
                if not isinstance(error.orig, (errors.LockNotAvailable, errors.DeadlockDetected)):
                    raise
                wait_for_retry(error.orig, left)


@contextmanager
def migration_lock(engine: Engine) -> Iterator[None]:
    """Hold the migration lock during the block.

    The lock is polled, because the concurrent creation of an index waits for all running
    statements, and would wait forever for one that waits for the lock.
    """
    with engine.connect() as connection:
        guard = driver_of(connection)
        # Without parameters, so that no portal stays open, which would also be waited for.
        lock = f"SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK})"
        while guard.execute(lock).fetchone() != (True,):
            guard.rollback()
            time.sleep(0.2)
        guard.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def driver_of(connection: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection."""
    driver = connection.connection.driver_connection
    assert driver
    return driver


def set_timeouts(connection: Connection) -> None:
    """Limit a transaction's waits for locks, but not its duration."""
    driver = driver_of(connection)
    if not driver.autocommit:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    elif driver.execute("SELECT pg_backend_pid()").fetchone() == (driver.info.backend_pid,):
        # Without a pooler, so the setting ends with this connection. The concurrent creation of an
        # index takes long, but blocks nobody.
        driver.execute("SET statement_timeout = 0")


def is_ahead() -> bool:
    """Whether the database is ahead of this release, as after a rollback.

    Raises:
        CommandError: the database no longer supports this release.
    """
    migrations = context.get_context()
    revision = migrations.get_current_revision()
    head = migration_head()
    if revision is None or revision <= head or not upgrades_to(head):
        return False
    assert migrations.connection
    try:
        check_schema(*driver_of(migrations.connection).execute(SCHEMA.personal.sql).fetchone())
    except TooOld as problem:
        raise CommandError(f"{problem} It is at {revision}, this release at {head}.") from None
    click.echo(f"The database is at {revision}, ahead of this release ({head}). Nothing to do.")
    return True


def upgrades_to(head: str) -> bool:
    """Whether the command upgrades to the head."""
    try:
        return context.get_revision_argument() == head
    except KeyError:
        return False


def report(*, step: MigrationInfo, **_: Any) -> None:
    """Print which revision was run. In offline mode, the output is SQL."""
    if context.is_offline_mode() or not isinstance(step.source_revisions, tuple):
        return
    for script in step.up_revisions:
        verb = "Upgraded to" if step.is_upgrade else "Downgraded from"
        click.echo(f"{verb} {script.revision}: {script.doc}")


def store_oldest_code(*, ctx: MigrationContext, heads: Collection[str], **_: Any) -> None:
    """Store the oldest supported release as the comment of Alembic's table.

    Migrations declare it as `oldest_code`, a revision.
    """
    comment = "NULL"
    for script in context.script.walk_revisions("base", tuple(heads) or "base"):
        if oldest := getattr(script.module, "oldest_code", None):
            comment = f"'{int(oldest):04}'"
            break
    ctx.execute(f"COMMENT ON TABLE alembic_version IS {comment}")


def wait_for_retry(error: Exception, left: int) -> None:
    """Report a lock that was not available, and let requests pass that queue behind the migration.

    Raises:
        CommandError: no attempt is left.
    """
    reason = str(error).partition("\n")[0]
    if not left:
        raise CommandError(
            f"The migration failed after {ATTEMPTS} attempts ({reason}). Something locks a table"
            " for long, such as a backup. Nothing was changed. Run it again later."
            " pg_stat_activity shows the locks."
        ) from error
    click.echo(f"The migration waits for a lock: {reason}. Attempts left: {left}", err=True)
    time.sleep(PAUSE)


def configure(**options: Any) -> None:
    """Configure Alembic."""
    context.configure(
        target_metadata=current_app.extensions["migrate"].db.metadata,
        transaction_per_migration=True,
        on_version_apply=[store_oldest_code, report],
        **options,
    )


def run() -> None:
    """Run the migrations."""
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    configure(dialect_name="postgresql", literal_binds=True)
    run()
else:
    migrate(current_app.extensions["migrate"].db.engine)
