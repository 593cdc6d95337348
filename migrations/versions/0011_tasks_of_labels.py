"""An index of the tasks that have labels; what limits their number holds for old rows as well."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_tasks_labels", if_exists=True, postgresql_concurrently=True)
        # What it put off, each search would read through, and some write pay for at once.
        op.create_index(
            "ix_tasks_labels",
            "tasks",
            ["label_ids"],
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
            postgresql_where=sa.text("label_ids IS NOT NULL"),
            postgresql_concurrently=True,
        )
    op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT ck_tasks_labels")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_tasks_labels", if_exists=True, postgresql_concurrently=True)
