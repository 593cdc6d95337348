"""The tables of accounts, workspaces and tasks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NEXT_ID = sa.text("nextval('workspace_ids'::regclass)")

# The two triggers are a foreign key for tasks.label_ids, since PostgreSQL has none for arrays. They
# lock labels like a foreign key.
CHECK_LABELS = """
CREATE FUNCTION check_labels() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found bigint[] := ARRAY(
        SELECT id FROM labels WHERE workspace_id = NEW.workspace_id AND id = ANY (NEW.label_ids)
        ORDER BY id FOR KEY SHARE
    );
BEGIN
    IF NOT found @> NEW.label_ids THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'tasks.label_ids violates constraint "fk_tasks_labels"',
            CONSTRAINT = 'fk_tasks_labels';
    END IF;
    NEW.label_ids := nullif(found, '{}');
    RETURN NEW;
END
$$
"""
CHECK_LABELS_OF_TASKS = """
CREATE TRIGGER check_labels BEFORE INSERT OR UPDATE OF workspace_id, label_ids ON tasks
FOR EACH ROW WHEN (NEW.label_ids IS NOT NULL) EXECUTE FUNCTION check_labels()
"""
# When a workspace is deleted, its labels may be deleted before its tasks.
KEEP_LABELS = """
CREATE FUNCTION keep_labels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM workspaces WHERE id = OLD.workspace_id;
    IF FOUND AND EXISTS (
        SELECT FROM tasks WHERE workspace_id = OLD.workspace_id AND label_ids @> ARRAY[OLD.id]
    ) THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'a task still has the label: constraint "fk_tasks_labels"',
            CONSTRAINT = 'fk_tasks_labels';
    END IF;
    RETURN NULL;
END
$$
"""
KEEP_LABELS_OF_TASKS = """
CREATE TRIGGER keep_labels AFTER DELETE OR UPDATE OF workspace_id, id ON labels
FOR EACH ROW EXECUTE FUNCTION keep_labels()
"""

TABLES = (
    "task_words",
    "occurrences",
    "tasks",
    "saved_filters",
    "labels",
    "lists",
    "idempotency_keys",
    "workspaces",
    "sessions",
    "users",
    "rate_limits",
)


def _moment(name: str) -> sa.Column:
    now = sa.text("now()")
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def _keys() -> list[sa.Column]:
    """The first columns of all content."""
    return [
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
    ]


def _changes() -> list[sa.Column]:
    """The last columns of all content."""
    version = sa.Column("version", sa.BigInteger(), nullable=False)
    return [version, _moment("created_at"), _moment("updated_at")]


def _constraints(table: str) -> list[sa.Constraint]:
    """The keys of all content."""
    return [
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f(f"fk_{table}_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f(f"pk_{table}")),
    ]


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("workspace_ids")))
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_limits")),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), server_default=NEXT_ID, nullable=False),
        sa.Column("email", sa.String(length=255, collation="C")),
        sa.Column("hashed_password", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.CheckConstraint(
            "email = lower(email COLLATE \"C\") AND strpos(email, '@') > 0",
            name=op.f("ck_users_email"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_index("ix_users_deleted", "users", ["id"], postgresql_where=sa.text("email IS NULL"))
    op.create_table(
        "sessions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("family_hash", sa.LargeBinary(), nullable=False),
        sa.Column("refresh_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_agent", sa.String(length=255)),
        sa.Column("address", postgresql.INET()),
        _moment("created_at"),
        _moment("last_used_at"),
        sa.Column(
            "previous_uses",
            postgresql.ARRAY(sa.DateTime(timezone=True)),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_sessions")),
    )
    op.create_table(
        "workspaces",
        sa.Column("id", sa.BigInteger(), server_default=NEXT_ID, nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("task_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in (
                "completed_task_count",
                "list_count",
                "label_count",
                "filter_count",
                "occurrence_count",
                "text_bytes",
            )
        ),
        _moment("created_at"),
        _moment("updated_at"),
        sa.CheckConstraint("name <> ''", name=op.f("ck_workspaces_name")),
        sa.CheckConstraint(
            "version >= 0 AND task_count >= completed_task_count AND completed_task_count >= 0",
            name=op.f("ck_workspaces_totals"),
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_workspaces_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(op.f("ix_workspaces_owner_id"), "workspaces", ["owner_id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=255, collation="C"), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_idempotency_keys_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        "ix_idempotency_keys_expiry", "idempotency_keys", ["workspace_id", "user_id", "expires_at"]
    )
    op.create_table(
        "labels",
        *_keys(),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(collation="C"), nullable=False),
        sa.Column("color", sa.String(length=7)),
        *_changes(),
        sa.CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name=op.f("ck_labels_color")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_labels_name")),
        *_constraints("labels"),
    )
    op.create_index("ix_labels_id", "labels", ["id"], postgresql_using="hash")
    op.create_index("uq_labels_name", "labels", ["workspace_id", "name_key"], unique=True)
    op.create_table(
        "lists",
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), server_default=NEXT_ID, nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(collation="C"), nullable=False),
        sa.Column("color", sa.String(length=7)),
        sa.Column("is_archived", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("position", sa.Numeric()),
        sa.Column("open_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("completed_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        *_changes(),
        sa.CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name=op.f("ck_lists_color")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_lists_name")),
        sa.CheckConstraint(
            "open_count >= 0 AND completed_count >= 0", name=op.f("ck_lists_counts")
        ),
        sa.CheckConstraint(
            "NOT (is_archived AND id = workspace_id)", name=op.f("ck_lists_inbox_stays")
        ),
        *_constraints("lists"),
    )
    op.create_index("uq_lists_name", "lists", ["workspace_id", "name_key"], unique=True)
    op.create_index("ix_lists_id", "lists", ["id"], postgresql_using="hash")
    op.create_index(
        "ix_lists_position",
        "lists",
        ["workspace_id", sa.literal_column('COALESCE("position", id::numeric)'), "id"],
    )
    op.create_table(
        "saved_filters",
        *_keys(),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(collation="C"), nullable=False),
        sa.Column("query", sa.String(length=2000), nullable=False),
        sa.Column("color", sa.String(length=7)),
        *_changes(),
        sa.CheckConstraint("color ~ '^#[0-9a-f]{6}$'", name=op.f("ck_saved_filters_color")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_saved_filters_name")),
        sa.CheckConstraint("query <> ''", name=op.f("ck_saved_filters_query")),
        *_constraints("saved_filters"),
    )
    op.create_index(
        "uq_saved_filters_name", "saved_filters", ["workspace_id", "name_key"], unique=True
    )
    op.create_index("ix_saved_filters_id", "saved_filters", ["id"], postgresql_using="hash")
    op.create_table(
        "tasks",
        *_keys(),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("is_completed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("list_id", sa.BigInteger()),
        sa.Column("parent_id", sa.BigInteger()),
        sa.Column("depth", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("position", sa.Numeric()),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_date", sa.Date()),
        sa.Column("due_time", sa.Time()),
        sa.Column("due_timezone", sa.String(length=64)),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("start_date", sa.Date()),
        sa.Column("start_time", sa.Time()),
        sa.Column("start_timezone", sa.String(length=64)),
        sa.Column("start_at", sa.DateTime(timezone=True)),
        sa.Column("rrule", sa.Text()),
        sa.Column("recurrence_anchor", sa.String(length=10)),
        sa.Column("recurrence_timezone", sa.String(length=64)),
        sa.Column("occurred", sa.Integer()),
        sa.Column("estimate_minutes", sa.Integer()),
        sa.Column("label_ids", sa.ARRAY(sa.BigInteger())),
        *_changes(),
        sa.ForeignKeyConstraint(
            ["workspace_id", "list_id"],
            ["lists.workspace_id", "lists.id"],
            name=op.f("fk_tasks_lists"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "parent_id"],
            ["tasks.workspace_id", "tasks.id"],
            name=op.f("fk_tasks_tasks"),
        ),
        *_constraints("tasks"),
        postgresql_with={"fillfactor": 85},
    )
    op.create_index(
        "ix_tasks_completed_at",
        "tasks",
        ["workspace_id", "completed_at", "id"],
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_due",
        "tasks",
        [
            "workspace_id",
            "is_completed",
            sa.literal_column(
                "(due_date + COALESCE(due_time, '23:59:59.999999'::time without time zone))"
            ),
            "id",
        ],
        postgresql_where=sa.text("due_date IS NOT NULL"),
    )
    op.create_index("ix_tasks_id", "tasks", ["id"], postgresql_using="hash")
    op.create_index(
        "ix_tasks_labels",
        "tasks",
        ["label_ids"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
        postgresql_where=sa.text("label_ids IS NOT NULL"),
    )
    op.create_index("ix_tasks_list", "tasks", ["workspace_id", "list_id", "id"])
    op.create_index(
        "ix_tasks_parent",
        "tasks",
        ["workspace_id", "parent_id", "id"],
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_position",
        "tasks",
        [
            "workspace_id",
            sa.literal_column("COALESCE(list_id, workspace_id)"),
            sa.literal_column('COALESCE("position", id::numeric)'),
            "id",
        ],
    )
    op.create_index(
        "ix_tasks_no_due",
        "tasks",
        ["workspace_id", "is_completed", "id"],
        postgresql_where=sa.text("due_date IS NULL"),
    )
    op.create_index(
        "ix_tasks_priority",
        "tasks",
        ["workspace_id", "is_completed", "priority", "id"],
        postgresql_where=sa.text("priority > 0"),
    )
    op.create_index("ix_tasks_state", "tasks", ["workspace_id", "is_completed", "id"])
    op.create_table(
        "occurrences",
        *_keys(),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("due_time", sa.Time()),
        sa.Column("due_timezone", sa.String(length=64)),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("occurred", sa.Integer()),
        sa.Column("moved_days", sa.Integer(), server_default=sa.text("0"), nullable=False),
        *_changes(),
        sa.CheckConstraint(
            "outcome IN ('completed', 'skipped')", name=op.f("ck_occurrences_outcome")
        ),
        sa.CheckConstraint(
            "(due_time IS NULL) = (due_timezone IS NULL) AND (due_time IS NULL) = (due_at IS NULL)",
            name=op.f("ck_occurrences_due"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "task_id"],
            ["tasks.workspace_id", "tasks.id"],
            name=op.f("fk_occurrences_tasks"),
            ondelete="CASCADE",
        ),
        *_constraints("occurrences"),
    )
    op.create_index("ix_occurrences_task", "occurrences", ["workspace_id", "task_id", "id"])
    op.create_table(
        "task_words",
        sa.Column("workspace_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("title_words", postgresql.TSVECTOR(), nullable=False),
        sa.Column("description_words", postgresql.TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "task_id"],
            ["tasks.workspace_id", "tasks.id"],
            name=op.f("fk_task_words_tasks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "task_id", name=op.f("pk_task_words")),
    )
    op.create_index(
        "ix_task_words",
        "task_words",
        [sa.literal_column("(title_words || description_words)")],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "on", "gin_pending_list_limit": 256},
    )

    for statement in (CHECK_LABELS, CHECK_LABELS_OF_TASKS, KEEP_LABELS, KEEP_LABELS_OF_TASKS):
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION check_labels")
    op.execute("DROP FUNCTION keep_labels")
    op.execute("DROP SEQUENCE workspace_ids")
