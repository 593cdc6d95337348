"""${message}.

Its revision is the next number, and stands in head.txt as well. What takes something away, or may lock
a table, says so: docs/operate.md, "Change the schema without a pause".
"""

import sqlalchemy as sa
from alembic import op

revision = "${up_revision}"
down_revision = ${f'"{down_revision}"' if down_revision else None}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
