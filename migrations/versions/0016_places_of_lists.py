"""The place of a list in the order by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lists", sa.Column("position", sa.Numeric))


def downgrade() -> None:
    op.drop_column("lists", "position")
