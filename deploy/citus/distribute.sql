-- Distributes a migrated database over a Citus cluster, by workspace. docs/scale.md says what to do
-- before. On the coordinator, as the owner of the tables:
-- psql --set ON_ERROR_STOP=1 --file distribute.sql

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
    )] AND conrelid IN (
        'workspaces'::regclass, 'lists'::regclass, 'labels'::regclass, 'saved_filters'::regclass,
        'tasks'::regclass, 'task_words'::regclass, 'occurrences'::regclass,
        'idempotency_keys'::regclass
    );
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'Nothing was distributed: % lacks the column of distribution.', obstacle;
    END IF;
END
$$;

-- Every node has a copy of the accounts, so that a statement checks its session where its rows are.
BEGIN;
SELECT create_reference_table('users');
SELECT create_reference_table('sessions');
SELECT create_reference_table('alembic_version');
COMMIT;

BEGIN;

-- The triggers that check the labels of tasks read rows of the same workspace, which are on the same
-- node. They read other tables while the rows are copied, which needs one connection for all.
SET LOCAL citus.enable_unsafe_triggers = on;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- All rows of a workspace are on one node. A table comes after those that it references.
SELECT create_distributed_table('workspaces', 'id');
SELECT create_distributed_table('lists', 'workspace_id', colocate_with => 'workspaces');
SELECT create_distributed_table('labels', 'workspace_id', colocate_with => 'workspaces');
SELECT create_distributed_table('saved_filters', 'workspace_id', colocate_with => 'workspaces');
SELECT create_distributed_table('tasks', 'workspace_id', colocate_with => 'workspaces');
SELECT create_distributed_table('task_words', 'workspace_id', colocate_with => 'workspaces');
SELECT create_distributed_table('occurrences', 'workspace_id', colocate_with => 'workspaces');
SELECT create_distributed_table('idempotency_keys', 'workspace_id', colocate_with => 'workspaces');

COMMIT;

-- The rows that the tables had before stay on the disk of the coordinator until they are truncated.
-- A table comes before those that it references.
SELECT truncate_local_data_after_distributing_table('idempotency_keys');
SELECT truncate_local_data_after_distributing_table('occurrences');
SELECT truncate_local_data_after_distributing_table('task_words');
SELECT truncate_local_data_after_distributing_table('tasks');
SELECT truncate_local_data_after_distributing_table('saved_filters');
SELECT truncate_local_data_after_distributing_table('labels');
SELECT truncate_local_data_after_distributing_table('lists');
SELECT truncate_local_data_after_distributing_table('workspaces');

-- rate_limits stays local to a node: with several nodes that serve, set RATELIMIT_STORAGE_URI.
