"""Indexes for tasks by due, priority and hand, and for subtasks and completed ones."""

from alembic import op
from sqlalchemy import text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DUE = text(
    "COALESCE(due_date + COALESCE(due_time, '23:59:59.999999'::time without time zone),"
    " '9999-12-31 00:00:00'::timestamp without time zone)"
)
LIST = text("COALESCE(list_id, user_id)")
PLACE = text('COALESCE("position", id::numeric)')

INDEXES = {
    "ix_tasks_state_due": (["user_id", "is_completed", DUE, "id"], None),
    "ix_tasks_state_priority": (["user_id", "is_completed", "priority", "id"], None),
    "ix_tasks_place": (["user_id", LIST, PLACE, "id"], None),
    "ix_tasks_parent": (["user_id", "parent_id", "id"], "parent_id IS NOT NULL"),
    "ix_tasks_completed_at": (["user_id", "completed_at", "id"], "completed_at IS NOT NULL"),
}
CONSTRAINTS = (
    "ck_tasks_priority",
    "ck_tasks_estimate",
    "ck_tasks_due",
    "ck_tasks_start",
    "ck_tasks_depth",
    "fk_tasks_tasks",
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (columns, condition) in INDEXES.items():
            op.drop_index(name, if_exists=True, postgresql_concurrently=True)
            op.create_index(
                name,
                "tasks",
                columns,
                postgresql_where=text(condition) if condition else None,
                postgresql_concurrently=True,
            )
        for name in CONSTRAINTS:
            op.execute(f"ALTER TABLE tasks VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.drop_index(name, if_exists=True, postgresql_concurrently=True)
