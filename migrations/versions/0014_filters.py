"""Filters that are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "filters",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("query", sa.String(2000), nullable=False),
        sa.Column("color", sa.String(7)),
        sa.Column("version", sa.BigInteger, nullable=False),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_filters"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_filters_users", ondelete="CASCADE"
        ),
        sa.CheckConstraint("name <> ''", name=op.f("ck_filters_name")),
        sa.CheckConstraint("query <> ''", name=op.f("ck_filters_query")),
        sa.CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name=op.f("ck_filters_color")),
    )
    op.create_index("ix_filters_id", "filters", ["id"], postgresql_using="hash")


def downgrade() -> None:
    op.drop_table("filters")


def _instant(name: str) -> sa.Column:
    now = sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)
