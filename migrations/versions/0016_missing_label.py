"""The trigger that checks the labels of a task reports the ID of one that does not exist."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

CHECK_LABELS = """
CREATE OR REPLACE FUNCTION check_labels() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found bigint[] := ARRAY(
        SELECT id FROM labels WHERE workspace_id = NEW.workspace_id AND id = ANY (NEW.label_ids)
        ORDER BY id FOR KEY SHARE
    );
{declaration}BEGIN
    IF NOT found @> NEW.label_ids THEN
{search}        RAISE foreign_key_violation USING
            MESSAGE = 'tasks.label_ids violates constraint "fk_tasks_labels"',
            CONSTRAINT = 'fk_tasks_labels'{detail};
    END IF;
    NEW.label_ids := nullif(found, '{{}}');
    RETURN NEW;
END
$$
"""
DECLARATION = """\
    missing bigint;
"""
SEARCH = """\
        FOREACH missing IN ARRAY NEW.label_ids LOOP
            EXIT WHEN missing <> ALL (found);
        END LOOP;
"""
DETAIL = """,
            DETAIL = coalesce(missing::text, '')"""


def upgrade() -> None:
    op.execute(CHECK_LABELS.format(declaration=DECLARATION, search=SEARCH, detail=DETAIL))


def downgrade() -> None:
    op.execute(CHECK_LABELS.format(declaration="", search="", detail=""))
