-- Distributes the tables of a migrated database over a Citus cluster, by account. See docs/scale.md,
-- which says what must be done before, and what of this was not run. On the coordinator, as the
-- tables' owner: psql --set ON_ERROR_STOP=1 --file distribute.sql
--
-- Only code of this release and later works afterwards, so deploy it everywhere first. The release
-- before needs the unique key of users.email and the triggers that keep emails beside it, and Citus
-- takes neither. /readyz of older code says so from then on.

BEGIN;

DROP TRIGGER claim_email ON users;
DROP TRIGGER keep_email ON users;
DROP TRIGGER give_inbox ON users;
DROP FUNCTION keep_emails();
DROP FUNCTION give_inbox();
ALTER TABLE users DROP CONSTRAINT uq_users_email;
COMMENT ON TABLE alembic_version IS '0007';

-- From here on emails alone keeps two accounts from one email, and whoever is not in it cannot log in.
-- Besides, Citus demands that a key contains the column by which its table is distributed.
DO $$
DECLARE
    obstacle text;
BEGIN
    SELECT string_agg(id::text, ', ') INTO obstacle FROM (
        SELECT users.id FROM users LEFT JOIN emails ON (emails.email, user_id) = (users.email, id)
        WHERE user_id IS NULL ORDER BY id LIMIT 10
    ) lost;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'Nothing was distributed: emails lacks that of account %.', obstacle;
    END IF;
    SELECT string_agg(conrelid::regclass || '.' || conname, ', ') INTO obstacle
    FROM pg_constraint
    WHERE contype IN ('p', 'u', 'x') AND NOT conkey @> ARRAY[(
        SELECT attnum FROM pg_attribute
        WHERE attrelid = conrelid AND attname = CASE conrelid
            WHEN 'users'::regclass THEN 'id'
            WHEN 'emails'::regclass THEN 'email'
            ELSE 'user_id'
        END
    )] AND conrelid IN (
        'users'::regclass, 'sessions'::regclass, 'lists'::regclass, 'labels'::regclass,
        'filters'::regclass, 'tasks'::regclass, 'occurrences'::regclass,
        'idempotency_keys'::regclass, 'emails'::regclass
    );
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'Nothing was distributed: % lacks the column of distribution.', obstacle;
    END IF;
END
$$;

-- The triggers that keep the labels of tasks right stay: they ask for rows of the same account, which
-- lie on the same node, in all that they do. Citus takes them along when it is told to (citus#5705).
SET LOCAL citus.enable_unsafe_triggers = on;

-- One account's rows of all tables come to lie on one node, by colocate_with. What refers comes
-- after what it refers to.
SELECT create_distributed_table('users', 'id');
SELECT create_distributed_table('sessions', 'user_id', colocate_with => 'users');
SELECT create_distributed_table('lists', 'user_id', colocate_with => 'users');
SELECT create_distributed_table('labels', 'user_id', colocate_with => 'users');
SELECT create_distributed_table('filters', 'user_id', colocate_with => 'users');
SELECT create_distributed_table('tasks', 'user_id', colocate_with => 'users');
SELECT create_distributed_table('occurrences', 'user_id', colocate_with => 'users');
SELECT create_distributed_table('idempotency_keys', 'user_id', colocate_with => 'users');

-- Whose an email is, is asked before the account is known, so it lies by the email. It does not stay
-- local to the coordinator: an account's deletion takes its email along in one statement, and Citus
-- changes no local table by what a distributed one gives (citus#5280).
SELECT create_distributed_table('emails', 'email', colocate_with => 'none');

-- rate_limits and alembic_version stay on the coordinator: a counter belongs to an address or an
-- email, and is of no account.

COMMIT;
