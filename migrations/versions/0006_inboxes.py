"""Inboxes for the accounts that were there, a thousand at a time, and an index of lists' tasks."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Each thousand is a transaction, and held against deletion for as long.
FILL = """
DO $$
DECLARE
    done bigint := 0;
BEGIN
    LOOP
        WITH accounts AS (
            SELECT id, created_at FROM users WHERE id > done ORDER BY id LIMIT 1000 FOR KEY SHARE
        ), filled AS (
            INSERT INTO lists (user_id, id, name, created_at, updated_at)
            SELECT id, id, 'Inbox', created_at, created_at FROM accounts
            ON CONFLICT (user_id, id) DO NOTHING
        )
        SELECT max(id) INTO done FROM accounts;
        EXIT WHEN done IS NULL;
        COMMIT;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_tasks_list", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_tasks_list", "tasks", ["user_id", "list_id", "id"], postgresql_concurrently=True
        )
        op.execute(FILL)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_tasks_list", if_exists=True, postgresql_concurrently=True)
