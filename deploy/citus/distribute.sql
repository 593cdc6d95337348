-- Distributes a migrated database over a Citus cluster, by workspace. docs/scale.md says what to do
-- before. On the coordinator, as the owner of the tables:
-- psql --set ON_ERROR_STOP=1 --file distribute.sql
--
-- reference tables    accounts and what belongs to them, members, invitations: all rows on each node
-- distributed tables  workspaces (by id), and each table with a workspace_id (by that): content
-- local tables        rate_limits and procrastinate_*: each node has its own, see docs/scale.md

-- The tables of content, after those that they reference. Members and invitations have a
-- workspace_id too, but are found by account. The list is made before there are shards, which have
-- that column as well.
CREATE TEMPORARY TABLE content AS
WITH RECURSIVE tables (name) AS (
    SELECT attrelid::regclass FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attname = 'workspace_id' AND NOT attisdropped
    AND relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND relname NOT IN ('memberships', 'invitations')
), ranked (name, rank) AS (
    SELECT name, 1 FROM tables
    UNION
    SELECT conrelid::regclass, rank + 1
    FROM ranked JOIN pg_constraint ON contype = 'f' AND confrelid = ranked.name
    WHERE conrelid <> confrelid AND conrelid IN (SELECT name FROM tables)
)
SELECT name, max(rank) AS rank FROM ranked GROUP BY name;

CREATE TEMPORARY TABLE reference AS
SELECT name, number FROM unnest(ARRAY[
    'users', 'sessions', 'memberships', 'invitations', 'identities', 'sign_in_codes',
    'email_changes', 'email_tokens', 'second_factors', 'alembic_version'
]::regclass[]) WITH ORDINALITY AS listed (name, number);

-- Citus requires each key of a distributed table to contain the column of distribution. No other
-- table may reference a distributed one, since Citus supports no such foreign key, and since the
-- last step would delete the rows of a local table that does.
DO $$
DECLARE
    obstacle text;
BEGIN
    SELECT string_agg(conrelid::regclass || '.' || conname, ', ') INTO obstacle
    FROM pg_constraint
    WHERE contype IN ('p', 'u', 'x') AND NOT conkey @> ARRAY[(
        SELECT attnum FROM pg_attribute
        WHERE attrelid = conrelid
        AND attname = CASE conrelid WHEN 'workspaces'::regclass THEN 'id' ELSE 'workspace_id' END
    )] AND conrelid IN (SELECT 'workspaces'::regclass UNION SELECT name FROM content);
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'Nothing was distributed: % lacks the column of distribution.', obstacle;
    END IF;
    WITH distributed (name) AS (SELECT 'workspaces'::regclass UNION SELECT name FROM content)
    SELECT string_agg(conrelid::regclass || '.' || conname, ', ') INTO obstacle
    FROM pg_constraint
    WHERE contype = 'f' AND conrelid NOT IN (SELECT name FROM distributed)
    AND confrelid IN (
        SELECT name FROM distributed UNION SELECT name FROM reference
        WHERE conrelid NOT IN (SELECT name FROM reference)
    );
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'Nothing was distributed: % references a table of the cluster.', obstacle;
    END IF;
END
$$;

-- Every node has a copy of the accounts, so that a statement checks its session where its rows are.
-- `users` is committed first: defaults of other tables use the same sequence.
BEGIN;
SELECT create_reference_table('users');
COMMIT;
BEGIN;
DO $$
DECLARE
    tables regclass[] := ARRAY(SELECT name FROM reference WHERE number > 1 ORDER BY number);
    number int;
BEGIN
    FOR number IN 1..cardinality(tables) LOOP
        PERFORM create_reference_table(tables[number]);
    END LOOP;
END
$$;
COMMIT;

BEGIN;

-- The triggers that check the labels and assignees of tasks read rows of the same workspace, which
-- are on the same node, and members, which each node has. They read other tables while the rows are
-- copied, which needs one connection for all.
SET LOCAL citus.enable_unsafe_triggers = on;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- All rows of a workspace are on one node.
SELECT create_distributed_table('workspaces', 'id');
DO $$
DECLARE
    tables regclass[] := ARRAY(SELECT name FROM content ORDER BY rank, name::text);
    number int;
BEGIN
    FOR number IN 1..cardinality(tables) LOOP
        PERFORM create_distributed_table(
            tables[number], 'workspace_id', colocate_with => 'workspaces'
        );
    END LOOP;
END
$$;

COMMIT;

-- The rows that the tables had before are still on the disk of the coordinator. Those that are
-- referenced come last, because this includes the rows that reference them.
DO $$
DECLARE
    tables regclass[] := ARRAY(SELECT name FROM content ORDER BY rank DESC, name::text)
        || 'workspaces'::regclass
        || ARRAY(SELECT name FROM reference ORDER BY number DESC);
    number int;
BEGIN
    FOR number IN 1..cardinality(tables) LOOP
        PERFORM truncate_local_data_after_distributing_table(tables[number]);
    END LOOP;
END
$$;
