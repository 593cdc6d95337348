-- Distributes the tables of a migrated database over a Citus cluster, by account. See docs/scale.md,
-- which says what must be done before, and what of this was not run. On the coordinator, as the
-- tables' owner: psql --set ON_ERROR_STOP=1 --file distribute.sql

BEGIN;

-- Citus demands that a key contains the column by which its table is distributed. So the emails'
-- must have moved to a table of their own first: nothing else could keep two accounts from one email.
DO $$
DECLARE
    obstacle text;
BEGIN
    SELECT string_agg(conrelid::regclass || '.' || conname, ', ') INTO obstacle
    FROM pg_constraint
    WHERE contype IN ('p', 'u', 'x') AND NOT conkey @> ARRAY[(
        SELECT attnum FROM pg_attribute
        WHERE attrelid = conrelid
            AND attname = CASE conrelid WHEN 'users'::regclass THEN 'id' ELSE 'user_id' END
    )] AND conrelid IN (
        'users'::regclass, 'sessions'::regclass, 'tasks'::regclass, 'idempotency_keys'::regclass
    );
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'Nothing was distributed: % does not contain the account.', obstacle;
    END IF;
END
$$;

-- One account's rows of all tables come to lie on one node, by colocate_with. What refers comes
-- after what it refers to.
SELECT create_distributed_table('users', 'id');
SELECT create_distributed_table('sessions', 'user_id', colocate_with => 'users');
SELECT create_distributed_table('tasks', 'user_id', colocate_with => 'users');
SELECT create_distributed_table('idempotency_keys', 'user_id', colocate_with => 'users');

-- rate_limits and alembic_version stay on the coordinator: a counter belongs to an address or an
-- email, and is of no account.

COMMIT;
