"""Personal access tokens: sessions of another kind."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

exempt = {"ban-drop-not-null": "only rows of personal access tokens are null, which are new"}
# Older code cannot list sessions that never expire.
oldest_code = "0002"

# A personal access token has no refresh token, and no use until it is used.
ONLY_OF_LOGINS = ("family_hash", "refresh_hash", "last_used_at")

KIND = (
    "kind = 'login' AND family_hash IS NOT NULL AND refresh_hash IS NOT NULL"
    " AND last_used_at IS NOT NULL"
    " AND token_hash IS NULL AND name IS NULL AND scopes IS NULL"
    " OR kind = 'token' AND family_hash IS NULL AND refresh_hash IS NULL"
    " AND token_hash IS NOT NULL AND name IS NOT NULL"
    " AND scopes IS NOT NULL AND cardinality(scopes) > 0"
)


def upgrade() -> None:
    op.add_column(
        "sessions",
        sa.Column("kind", sa.Text(), server_default=sa.text("'login'"), nullable=False),
    )
    op.add_column("sessions", sa.Column("token_hash", sa.LargeBinary()))
    op.add_column("sessions", sa.Column("name", sa.String(length=255)))
    op.add_column("sessions", sa.Column("scopes", postgresql.ARRAY(sa.Text())))
    for name in ONLY_OF_LOGINS:
        op.alter_column("sessions", name, nullable=True)
    op.create_check_constraint("kind", "sessions", KIND, postgresql_not_valid=True)


def downgrade() -> None:
    op.drop_constraint(op.f("ck_sessions_kind"), "sessions")
    op.execute("DELETE FROM sessions WHERE kind = 'token'")
    for name in ONLY_OF_LOGINS:
        op.alter_column("sessions", name, nullable=False)
    for name in ("scopes", "name", "token_hash", "kind"):
        op.drop_column("sessions", name)
