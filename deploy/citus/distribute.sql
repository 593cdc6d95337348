-- Distributes a migrated database over a Citus cluster, by workspace. docs/scale.md says what to do
-- before. On the coordinator, as the owner of the tables:
-- psql --set ON_ERROR_STOP=1 --file distribute.sql

-- A table with a workspace_id is distributed by it, after the tables that it references, except for
-- members and invitations, which are found by account too. The list is made before there are shards,
-- which have that column too.
CREATE TEMPORARY TABLE content AS
WITH RECURSIVE tables (name) AS (
    SELECT attrelid::regclass FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attname = 'workspace_id' AND relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND relname NOT IN ('memberships', 'invitations')
), ranked (name, rank) AS (
    SELECT name, 1 FROM tables
    UNION
    SELECT conrelid::regclass, rank + 1
    FROM ranked JOIN pg_constraint ON contype = 'f' AND confrelid = ranked.name
    WHERE conrelid <> confrelid AND conrelid IN (SELECT name FROM tables)
)
SELECT name, max(rank) AS rank FROM ranked GROUP BY name;

-- Citus requires each key of a distributed table to contain the column of distribution.
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
END
$$;

-- Every node has a copy of the accounts, so that a statement checks its session where its rows are.
BEGIN;
SELECT create_reference_table('users');
SELECT create_reference_table('sessions');
SELECT create_reference_table('memberships');
SELECT create_reference_table('invitations');
SELECT create_reference_table('identities');
SELECT create_reference_table('sign_in_codes');
SELECT create_reference_table('email_changes');
SELECT create_reference_table('email_tokens');
SELECT create_reference_table('second_factors');
SELECT create_reference_table('alembic_version');
COMMIT;

BEGIN;

-- The triggers that check the labels and assignees of tasks read rows of the same workspace, which
-- are on the same node, and members, which each node has. They read other tables while the rows are
-- copied, which needs one connection for all.
SET LOCAL citus.enable_unsafe_triggers = on;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- All rows of a workspace are on one node. The rows that the tables had before stay on the disk of
-- the coordinator until they are truncated.
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

DO $$
DECLARE
    tables regclass[] := ARRAY(SELECT name FROM content ORDER BY rank DESC, name::text);
    number int;
BEGIN
    FOR number IN 1..cardinality(tables) LOOP
        PERFORM truncate_local_data_after_distributing_table(tables[number]);
    END LOOP;
END
$$;
SELECT truncate_local_data_after_distributing_table('workspaces');

-- rate_limits stays local to a node: with several nodes that serve, set RATELIMIT_STORAGE_URI. The
-- tables of jobs stay local too: each node that serves has a worker of its own.
