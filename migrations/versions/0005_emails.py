"""Verified emails, changes of the email, and tokens that are sent by mail."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _moment(name: str) -> sa.Column:
    now = sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def _user_id() -> sa.Column:
    return sa.Column("user_id", sa.BigInteger(), nullable=False)


def _of_user(table: str) -> sa.Constraint:
    return sa.ForeignKeyConstraint(
        ["user_id"], ["users.id"], name=op.f(f"fk_{table}_users"), ondelete="CASCADE"
    )


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column("email_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_table(
        "email_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        _user_id(),
        sa.Column("old_email", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("new_email", sa.String(length=255, collation="C"), nullable=False),
        _moment("created_at"),
        sa.Column("confirmed_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _of_user("email_changes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_changes")),
    )
    op.create_index(op.f("ix_email_changes_user_id"), "email_changes", ["user_id"])
    op.create_index(op.f("ix_email_changes_old_email"), "email_changes", ["old_email"])
    op.create_table(
        "email_tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        _user_id(),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("change_id", sa.BigInteger()),
        _moment("created_at"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('verify', 'change', 'undo', 'reset')", name=op.f("ck_email_tokens_purpose")
        ),
        sa.CheckConstraint(
            "(change_id IS NOT NULL) = (purpose IN ('change', 'undo'))",
            name=op.f("ck_email_tokens_change"),
        ),
        _of_user("email_tokens"),
        sa.ForeignKeyConstraint(
            ["change_id"],
            ["email_changes.id"],
            name=op.f("fk_email_tokens_email_changes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_email_tokens_token_hash")),
    )
    op.create_index(op.f("ix_email_tokens_user_id"), "email_tokens", ["user_id"])
    op.create_index(op.f("ix_email_tokens_change_id"), "email_tokens", ["change_id"])


def downgrade() -> None:
    op.drop_table("email_tokens")
    op.drop_table("email_changes")
    op.drop_column("users", "email_verified")
