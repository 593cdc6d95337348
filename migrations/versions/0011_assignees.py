"""Assignees: the member who is to do a task.

A trigger checks that the assignee is a member. It locks no row: memberships and tasks change only
while the workspace is locked, and the trigger's query sees what was committed before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# A shared workspace has no user's ID, but its own ID could be sent as the assignee.
CHECK_ASSIGNEE = """
CREATE FUNCTION check_assignee() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.assignee_id = OLD.assignee_id
        AND NEW.workspace_id = OLD.workspace_id
    THEN
        RETURN NEW;
    END IF;
    IF NOT EXISTS (
        SELECT FROM memberships
        WHERE workspace_id = NEW.workspace_id AND user_id = NEW.assignee_id
    ) AND NOT EXISTS (
        SELECT FROM workspaces
        WHERE id = NEW.workspace_id AND owner_id = id AND id = NEW.assignee_id
    ) THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'tasks.assignee_id violates constraint "fk_tasks_memberships"',
            CONSTRAINT = 'fk_tasks_memberships';
    END IF;
    RETURN NEW;
END
$$
"""
CHECK_ASSIGNEE_OF_TASKS = """
CREATE TRIGGER check_assignee BEFORE INSERT OR UPDATE OF workspace_id, assignee_id ON tasks
FOR EACH ROW WHEN (NEW.assignee_id IS NOT NULL) EXECUTE FUNCTION check_assignee()
"""


def upgrade() -> None:
    op.add_column("tasks", sa.Column("assignee_id", sa.BigInteger()))
    op.execute(CHECK_ASSIGNEE)
    op.execute(CHECK_ASSIGNEE_OF_TASKS)


def downgrade() -> None:
    op.execute("DROP TRIGGER check_assignee ON tasks")
    op.execute("DROP FUNCTION check_assignee")
    op.drop_column("tasks", "assignee_id")
