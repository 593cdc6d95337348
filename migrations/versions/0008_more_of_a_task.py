"""Priority, due, start, estimate, completion, parent and place of a task.

What the columns must keep to is demanded of new rows at once, and of those that were there by 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHECKS = {
    "priority": "priority BETWEEN 0 AND 4",
    "estimate": "estimate_minutes BETWEEN 1 AND 525600",
    "due": "(due_date IS NOT NULL OR due_time IS NULL)"
    " AND (due_time IS NULL) = (due_timezone IS NULL) AND (due_time IS NULL) = (due_at IS NULL)",
    "start": "(start_date IS NOT NULL OR start_time IS NULL)"
    " AND (start_time IS NULL) = (start_timezone IS NULL)"
    " AND (start_time IS NULL) = (start_at IS NULL)",
    "depth": "(depth = 0) = (parent_id IS NULL) AND depth BETWEEN 0 AND 15",
}


def upgrade() -> None:
    _add("priority", sa.SmallInteger, default="0")
    for moment in ("due", "start"):
        _add(f"{moment}_date", sa.Date)
        _add(f"{moment}_time", sa.Time)
        _add(f"{moment}_timezone", sa.String(64))
        _add(f"{moment}_at", sa.DateTime(timezone=True))
    _add("estimate_minutes", sa.Integer)
    _add("completed_at", sa.DateTime(timezone=True))
    _add("parent_id", sa.BigInteger)
    _add("depth", sa.SmallInteger, default="0")
    _add("position", sa.Numeric)
    for name, condition in CHECKS.items():
        op.create_check_constraint(
            op.f(f"ck_tasks_{name}"), "tasks", condition, postgresql_not_valid=True
        )
    op.create_foreign_key(
        "fk_tasks_tasks",
        "tasks",
        "tasks",
        ["user_id", "parent_id"],
        ["user_id", "id"],
        postgresql_not_valid=True,
    )


def downgrade() -> None:
    names = ["position", "depth", "parent_id", "completed_at", "estimate_minutes", "priority"]
    parts = ("date", "time", "timezone", "at")
    names += [f"{moment}_{part}" for moment in ("due", "start") for part in parts]
    for name in names:
        op.drop_column("tasks", name)


def _add(
    name: str, kind: type[sa.types.TypeEngine] | sa.types.TypeEngine, default: str = ""
) -> None:
    standing = sa.text(default) if default else None
    op.add_column("tasks", sa.Column(name, kind, server_default=standing, nullable=not default))
