"""Kept answers are sealed, for those of logins hold tokens; what was kept for a day is let go."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

exempt = {"ban-drop-table": "it keeps nothing for longer than a day, and each row is an answer"}
oldest_code = "0003"


def upgrade() -> None:
    _make_anew(sa.Column("answer", sa.LargeBinary, nullable=False))


def downgrade() -> None:
    _make_anew(
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", postgresql.JSONB, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _make_anew(*kept: sa.Column) -> None:
    op.drop_table("idempotency_keys")
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(255, collation="C"), nullable=False),
        *kept,
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_idempotency_keys_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_idempotency_keys_age", "idempotency_keys", ["user_id", "created_at"])
