"""How `flask db ...` reaches the database: one at a time, in one transaction a migration."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

# Any number will do, as long as nothing else in the database takes the same.
MIGRATION_LOCK = 7_283_461_905


def migrate(connection: Connection) -> None:
    """Run what was asked for, while whoever else migrates waits: two first starts are fine."""
    connection.execute(text("SET statement_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=current_app.extensions["migrate"].db.metadata,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with current_app.extensions["migrate"].db.engine.connect() as connection:
        migrate(connection)
