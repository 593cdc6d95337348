"""Lists, an inbox for each new account, and which list a task is in.

The trigger gives their inbox to accounts that code of the release before registers.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GIVE_INBOX = """
CREATE FUNCTION give_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO lists (user_id, id, name, created_at, updated_at)
    VALUES (NEW.id, NEW.id, 'Inbox', NEW.created_at, NEW.created_at)
    ON CONFLICT (user_id, id) DO NOTHING;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "lists",
        sa.Column(
            "id",
            sa.BigInteger,
            server_default=sa.text("nextval('users_id_seq'::regclass)"),
            nullable=False,
        ),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("color", sa.String(7)),
        sa.Column("is_archived", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_lists"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_lists_users", ondelete="CASCADE"
        ),
        sa.CheckConstraint("name <> ''", name=op.f("ck_lists_name")),
        sa.CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name=op.f("ck_lists_color")),
        sa.CheckConstraint("NOT (is_archived AND id = user_id)", name=op.f("ck_lists_inbox_stays")),
    )
    op.create_index("ix_lists_id", "lists", ["id"], postgresql_using="hash")
    op.execute(GIVE_INBOX)
    op.execute(
        "CREATE TRIGGER give_inbox AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION give_inbox()"
    )
    op.add_column("tasks", sa.Column("list_id", sa.BigInteger))
    op.create_foreign_key(
        "fk_tasks_lists",
        "tasks",
        "lists",
        ["user_id", "list_id"],
        ["user_id", "id"],
        postgresql_not_valid=True,
    )


def downgrade() -> None:
    op.drop_column("tasks", "list_id")
    op.execute("DROP TRIGGER give_inbox ON users")
    op.execute("DROP FUNCTION give_inbox")
    op.drop_table("lists")


def _instant(name: str) -> sa.Column:
    now = sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)
