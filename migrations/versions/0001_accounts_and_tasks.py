"""Accounts, sessions, tasks and the counters of attempts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _identity() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False)


def _instant(name: str, default: str | None = None, *, nullable: bool = False) -> sa.Column:
    at = sa.text(default) if default else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=at, nullable=nullable)


def _owner(table: str) -> list[sa.schema.SchemaItem]:
    return [
        _identity(),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=f"fk_{table}_users", ondelete="CASCADE"
        ),
    ]


def upgrade() -> None:
    op.create_table(
        "users",
        _identity(),
        sa.Column("email", sa.String(255, collation="C"), nullable=False),
        sa.Column("hashed_password", sa.Text, nullable=False),
        sa.Column("is_active", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("task_count", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column(
            "completed_task_count", sa.BigInteger, server_default=sa.text("0"), nullable=False
        ),
        _instant("created_at", "now()"),
        _instant("updated_at", "now()"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.CheckConstraint(
            """email = lower(email COLLATE "C") AND strpos(email, '@') > 0""",
            name=op.f("ck_users_email"),
        ),
        sa.CheckConstraint(
            "version >= 0 AND task_count >= completed_task_count AND completed_task_count >= 0",
            name=op.f("ck_users_totals"),
        ),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "sessions",
        *_owner("sessions"),
        sa.Column("family_hash", sa.LargeBinary, nullable=False),
        sa.Column("refresh_hash", sa.LargeBinary, nullable=False),
        sa.Column("user_agent", sa.String(255)),
        sa.Column("address", postgresql.INET),
        _instant("created_at", "now()"),
        _instant("last_used_at", "now()"),
        _instant("expires_at"),
        _instant("revoked_at", nullable=True),
    )
    op.create_table(
        "tasks",
        *_owner("tasks"),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("is_completed", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        _instant("created_at", "now()"),
        _instant("updated_at", "now()"),
        sa.CheckConstraint("title <> ''", name=op.f("ck_tasks_title")),
        sa.CheckConstraint("length(description) <= 10000", name=op.f("ck_tasks_description")),
    )
    by_title = sa.text("""lower(title COLLATE "C")""")
    # Not an ordered index: the planner would walk it over everybody's rows to list one account's.
    op.create_index("ix_tasks_id", "tasks", ["id"], postgresql_using="hash")
    op.create_index("ix_tasks_state", "tasks", ["user_id", "is_completed", "id"])
    op.create_index(
        "ix_tasks_state_updated_at", "tasks", ["user_id", "is_completed", "updated_at", "id"]
    )
    op.create_index("ix_tasks_state_title", "tasks", ["user_id", "is_completed", by_title, "id"])
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        _instant("expires_at"),
        sa.PrimaryKeyConstraint("key", name="pk_rate_limits"),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    for table in ("rate_limits", "tasks", "sessions", "users"):
        op.drop_table(table)
