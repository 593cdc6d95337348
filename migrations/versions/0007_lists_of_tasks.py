"""The lists of tasks that were there are checked; until now only those of new ones were."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT fk_tasks_lists")


def downgrade() -> None:
    """Nothing: that it was checked does no harm."""
