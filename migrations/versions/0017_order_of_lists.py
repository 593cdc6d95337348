"""An index for lists in the order by hand."""

from alembic import op
from sqlalchemy import text

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

PLACE = text('COALESCE("position", id::numeric)')


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_lists_place", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_lists_place", "lists", ["user_id", PLACE, "id"], postgresql_concurrently=True
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_lists_place", if_exists=True, postgresql_concurrently=True)
