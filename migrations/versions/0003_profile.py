"""The profile of an account."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = {"name": 255, "timezone": 64, "locale": 35, "week_start": 9}


def upgrade() -> None:
    for name, length in COLUMNS.items():
        op.add_column("users", sa.Column(name, sa.String(length=length)))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("users", name)
