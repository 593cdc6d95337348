"""Comments on tasks, with their numbers and sizes in the rows of tasks and workspaces."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COUNTS = (
    ("workspaces", "comment_count", sa.BigInteger()),
    ("tasks", "comment_count", sa.Integer()),
    ("tasks", "comment_bytes", sa.BigInteger()),
)


def _timestamp(name: str) -> sa.Column:
    now = sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def upgrade() -> None:
    op.create_table(
        "comments",
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        _timestamp("created_at"),
        _timestamp("updated_at"),
        sa.CheckConstraint("length(text) BETWEEN 1 AND 10000", name=op.f("ck_comments_text")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "task_id"],
            ["tasks.workspace_id", "tasks.id"],
            name=op.f("fk_comments_tasks"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_comments_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_comments")),
    )
    op.create_index("ix_comments_task", "comments", ["workspace_id", "task_id", "id"])
    op.create_index("ix_comments_id", "comments", ["id"], postgresql_using="hash")
    for table, name, kind in COUNTS:
        zero = sa.text("0")
        op.add_column(table, sa.Column(name, kind, server_default=zero, nullable=False))


def downgrade() -> None:
    for table, name, _ in reversed(COUNTS):
        op.drop_column(table, name)
    op.drop_table("comments")
