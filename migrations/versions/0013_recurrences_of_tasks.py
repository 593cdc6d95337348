"""The recurrences of tasks that were there are checked; until now only those of new ones were."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT ck_tasks_recurs")


def downgrade() -> None:
    """Nothing: that it was checked does no harm."""
