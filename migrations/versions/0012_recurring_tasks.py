"""How a task comes again, and a ledger of its occurrences.

What the columns must keep to is demanded of new rows at once, and of those that were there by 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

RECURS = (
    "(rrule IS NULL OR due_date IS NOT NULL)"
    " AND (rrule IS NULL) = (recurrence_anchor IS NULL)"
    " AND (rrule IS NULL) = (recurrence_timezone IS NULL)"
)
DUE = "(due_time IS NULL) = (due_timezone IS NULL) AND (due_time IS NULL) = (due_at IS NULL)"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("rrule", sa.Text))
    op.add_column("tasks", sa.Column("recurrence_anchor", sa.String(10)))
    op.add_column("tasks", sa.Column("recurrence_timezone", sa.String(64)))
    op.add_column("tasks", sa.Column("occurred", sa.Integer))
    op.create_check_constraint(op.f("ck_tasks_recurs"), "tasks", RECURS, postgresql_not_valid=True)
    op.create_table(
        "occurrences",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("missed", sa.Integer, nullable=False),
        sa.Column("due_date", sa.Date, nullable=False),
        sa.Column("due_time", sa.Time),
        sa.Column("due_timezone", sa.String(64)),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("occurred", sa.Integer),
        sa.Column("version", sa.BigInteger, nullable=False),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_occurrences"),
        sa.ForeignKeyConstraint(
            ["user_id", "task_id"],
            ["tasks.user_id", "tasks.id"],
            name="fk_occurrences_tasks",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "outcome IN ('completed', 'skipped')", name=op.f("ck_occurrences_outcome")
        ),
        sa.CheckConstraint(DUE, name=op.f("ck_occurrences_due")),
    )
    op.create_index("ix_occurrences_task", "occurrences", ["user_id", "task_id", "id"])


def downgrade() -> None:
    op.drop_table("occurrences")
    for name in ("occurred", "recurrence_timezone", "recurrence_anchor", "rrule"):
        op.drop_column("tasks", name)


def _instant(name: str) -> sa.Column:
    now = sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)
