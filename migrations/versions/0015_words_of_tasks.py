"""An index of the words of tasks, each with its account before it."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WORDS = """replace(' ' || strip(to_tsvector('simple'::regconfig, title || ' ' ||
CASE WHEN length(description) > 500 THEN regexp_replace(description, '\\S{255,}', '', 'g')
ELSE coalesce(description, '') END))::text, ' ''', (' ''' || user_id::text) || ':')::tsvector"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_tasks_words", if_exists=True, postgresql_concurrently=True)
        op.execute(
            f"CREATE INDEX CONCURRENTLY ix_tasks_words ON tasks USING gin (({WORDS}))"
            " WITH (fastupdate = off)"
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_tasks_words", if_exists=True, postgresql_concurrently=True)
