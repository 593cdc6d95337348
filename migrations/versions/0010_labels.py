"""Labels, and which of them a task has: in its own row, where triggers keep them right.

They are to tasks.label_ids what a foreign key is to a column; PostgreSQL has none for arrays.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Locked as a foreign key locks what it refers to: a label that is just being deleted is waited for.
CHECK_LABELS = """
CREATE FUNCTION check_labels() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found bigint[] := ARRAY(
        SELECT id FROM labels WHERE user_id = NEW.user_id AND id = ANY (NEW.label_ids)
        ORDER BY id FOR KEY SHARE
    );
BEGIN
    IF NOT found @> NEW.label_ids THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'tasks.label_ids names a label that the account does not have',
            CONSTRAINT = 'fk_tasks_labels';
    END IF;
    NEW.label_ids := nullif(found, '{}');
    RETURN NEW;
END
$$
"""
CHECK_LABELS_OF_TASKS = """
CREATE TRIGGER check_labels BEFORE INSERT OR UPDATE OF user_id, label_ids ON tasks
FOR EACH ROW WHEN (NEW.label_ids IS NOT NULL) EXECUTE FUNCTION check_labels()
"""
# With an account its labels go as its tasks do, in whichever order.
HOLD_LABELS = """
CREATE FUNCTION hold_labels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = OLD.user_id;
    IF FOUND AND EXISTS (
        SELECT FROM tasks WHERE user_id = OLD.user_id AND label_ids @> ARRAY[OLD.id]
    ) THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'a task still has the label',
            CONSTRAINT = 'fk_tasks_labels';
    END IF;
    RETURN NULL;
END
$$
"""
HOLD_LABELS_OF_TASKS = """
CREATE TRIGGER hold_labels AFTER DELETE OR UPDATE OF user_id, id ON labels
FOR EACH ROW EXECUTE FUNCTION hold_labels()
"""


def upgrade() -> None:
    op.create_table(
        "labels",
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("color", sa.String(7)),
        sa.Column("version", sa.BigInteger, nullable=False),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_labels"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_labels_users", ondelete="CASCADE"
        ),
        sa.CheckConstraint("name <> ''", name=op.f("ck_labels_name")),
        sa.CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name=op.f("ck_labels_color")),
    )
    op.create_index(
        "uq_labels_name", "labels", ["user_id", sa.text('lower(name COLLATE "C")')], unique=True
    )
    op.create_index("ix_labels_id", "labels", ["id"], postgresql_using="hash")
    op.add_column("tasks", sa.Column("label_ids", sa.ARRAY(sa.BigInteger)))
    op.create_check_constraint(
        op.f("ck_tasks_labels"),
        "tasks",
        "cardinality(label_ids) <= 100",
        postgresql_not_valid=True,
    )
    for statement in (CHECK_LABELS, CHECK_LABELS_OF_TASKS, HOLD_LABELS, HOLD_LABELS_OF_TASKS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER check_labels ON tasks")
    op.execute("DROP FUNCTION check_labels")
    op.drop_column("tasks", "label_ids")
    op.drop_table("labels")
    op.execute("DROP FUNCTION hold_labels")


def _instant(name: str) -> sa.Column:
    now = sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)
