"""Who has an email is said in a table of its own, which users can then be cut by id beside.

Code of the release before knows nothing of it: while that is at work, triggers on users keep the
table right. They go with the unique key of users.email when no such code is left.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The email is claimed before the account is there, by older code as by today's: so two that
# register it at the same moment, one with each, wait for one another in one order, and the second
# finds it taken. No row is made then, as if the unique key had met ON CONFLICT DO NOTHING.
#
# Until the table is filled an account may have no row in it. Such a one is waited for, if it is
# just being deleted; else it stays at least until the unique key has refused the newcomer.
KEEP = """
CREATE OR REPLACE FUNCTION keep_emails() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM FROM users WHERE email = NEW.email FOR KEY SHARE;
        IF NOT FOUND THEN
            INSERT INTO emails (email, user_id) VALUES (NEW.email, NEW.id)
            ON CONFLICT (email) DO NOTHING;
            PERFORM FROM emails WHERE email = NEW.email AND user_id = NEW.id;
            IF NOT FOUND THEN
                RETURN NULL;
            END IF;
        END IF;
        RETURN NEW;
    END IF;
    DELETE FROM emails WHERE email = OLD.email AND user_id = OLD.id;
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO emails (email, user_id) VALUES (NEW.email, NEW.id);
    END IF;
    RETURN NULL;
END
$$
"""
BEFORE = """
CREATE OR REPLACE TRIGGER claim_email BEFORE INSERT ON users
FOR EACH ROW EXECUTE FUNCTION keep_emails()
"""
AFTER = """
CREATE OR REPLACE TRIGGER keep_email AFTER DELETE OR UPDATE OF email ON users
FOR EACH ROW EXECUTE FUNCTION keep_emails()
"""

# A thousand accounts at a time, each thousand a transaction. They are held against deletion, and
# against nothing else, so that no email outlives its account.
FILL = """
DO $$
DECLARE
    done bigint := 0;
BEGIN
    LOOP
        WITH accounts AS (
            SELECT id, email FROM users WHERE id > done ORDER BY id LIMIT 1000 FOR KEY SHARE
        ), filled AS (
            INSERT INTO emails (email, user_id) SELECT email, id FROM accounts
            ON CONFLICT (email) DO NOTHING
        )
        SELECT max(id) INTO done FROM accounts;
        EXIT WHEN done IS NULL;
        COMMIT;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    # What an attempt before has left, which ended while it filled, is not in the way.
    op.create_table(
        "emails",
        sa.Column("email", sa.String(255, collation="C"), nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("email", name="pk_emails"),
        if_not_exists=True,
    )
    for statement in (KEEP, BEFORE, AFTER):
        op.execute(statement)
    with op.get_context().autocommit_block():
        op.execute(FILL)


def downgrade() -> None:
    op.execute("DROP TRIGGER IF EXISTS claim_email ON users")
    op.execute("DROP TRIGGER IF EXISTS keep_email ON users")
    op.execute("DROP FUNCTION IF EXISTS keep_emails()")
    op.drop_table("emails")
