"""How `flask db ...` reaches the database: one at a time, and in nobody's way for long.

Each migration is a transaction. What it sets, it sets for that transaction, and what keeps others
from migrating meanwhile is held by a transaction too: a pooler hands on nothing of it.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import click
import psycopg
from alembic import context
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from flask import current_app
from psycopg import errors
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from taskapi.server.health.service import SCHEMA, TooOld, check_schema, migration_head

# Any number will do, as long as nothing else in the database takes the same.
MIGRATION_LOCK = 7_283_461_905

LOCK_TIMEOUT = "1s"
"""Who comes to a table after a migration that waits for it waits too: less than a request may."""

ATTEMPTS, PAUSE = 5, 2.0
"""How often a migration tries to get its locks, and the seconds in between."""


def migrate(engine: Engine) -> None:
    """Run what was asked for, while whoever else migrates waits: two first starts are fine.

    Raises:
        CommandError: it did not get its locks.
    """
    with alone(engine), engine.connect() as connection:
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
                give_way(error.orig, left)


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Let nobody else migrate until the block ends.

    An index that is made concurrently waits for all that read at that moment. So this asks for the
    lock again and again, for a statement that waited for it would be waited for, for ever.
    """
    with engine.connect() as connection:
        guard = driver_of(connection)
        # Without parameters, so that no portal stays open, which would read as well.
        lock = f"SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK})"
        while guard.execute(lock).fetchone() != (True,):
            guard.rollback()
            time.sleep(0.2)
        guard.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def driver_of(connection: Connection) -> psycopg.Connection[Any]:
    """The connection itself."""
    driver = connection.connection.driver_connection
    assert driver
    return driver


def set_timeouts(connection: Connection) -> None:
    """Bound the waits of a transaction that begins, and not its work."""
    driver = driver_of(connection)
    if not driver.autocommit:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    elif driver.execute("SELECT pg_backend_pid()").fetchone() == (driver.info.backend_pid,):
        # Not behind a pooler, so that it ends with this connection. An index that is made
        # concurrently takes its time, and stops nobody while it waits.
        driver.execute("SET statement_timeout = 0")


def is_ahead() -> bool:
    """Whether a release wants to upgrade a database that is ahead of it, as after a rollback.

    Raises:
        CommandError: that release no longer works with it.
    """
    migrations = context.get_context()
    revision = migrations.get_current_revision()
    head = migration_head()
    if revision is None or revision <= head or not upgrades_to(head):
        return False
    assert migrations.connection
    try:
        check_schema(*driver_of(migrations.connection).execute(SCHEMA.sql).fetchone())
    except TooOld as problem:
        raise CommandError(f"{problem} It is at {revision}, this release at {head}.") from None
    click.echo(f"The database is at {revision}, ahead of this release ({head}): nothing to do.")
    return True


def upgrades_to(head: str) -> bool:
    """Whether the head is asked for; some commands only ask."""
    try:
        return context.get_revision_argument() == head
    except KeyError:
        return False


def note_oldest_code(*, ctx: MigrationContext, heads: Collection[str], **_: Any) -> None:
    """Write into the database which code works with it, for code that is older than it.

    A migration says so by `oldest_code`, a revision. It is the comment of Alembic's own table.
    """
    noted = "NULL"
    for script in context.script.walk_revisions("base", tuple(heads) or "base"):
        if oldest := getattr(script.module, "oldest_code", None):
            noted = f"'{int(oldest):04}'"
            break
    ctx.execute(f"COMMENT ON TABLE alembic_version IS {noted}")


def give_way(error: Exception, left: int) -> None:
    """Say that a lock was not had, and let those pass who queue behind the migration.

    Raises:
        CommandError: no attempt is left.
    """
    reason = str(error).partition("\n")[0]
    if not left:
        raise CommandError(
            f"Gave up after {ATTEMPTS} attempts ({reason}). Something has held a table for long,"
            " such as a backup, and the service was not to wait for it: nothing of this migration"
            " is done. Run it again later; pg_stat_activity shows who holds what."
        ) from error
    click.echo(f"The migration waits for others: {reason}. Attempts left: {left}", err=True)
    time.sleep(PAUSE)


def configure(**options: Any) -> None:
    """Tell Alembic what all our migrations have in common."""
    context.configure(
        target_metadata=current_app.extensions["migrate"].db.metadata,
        transaction_per_migration=True,
        on_version_apply=note_oldest_code,
        **options,
    )


def run() -> None:
    """Run what was asked for."""
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    configure(dialect_name="postgresql", literal_binds=True)
    run()
else:
    migrate(current_app.extensions["migrate"].db.engine)
