"""An index of assigned tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDEX = "ix_tasks_assignee"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, if_exists=True, postgresql_concurrently=True)
        op.create_index(
            INDEX,
            "tasks",
            ["assignee_id", "is_completed", "id", "workspace_id"],
            postgresql_where=sa.text("assignee_id IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, if_exists=True, postgresql_concurrently=True)
