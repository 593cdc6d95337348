"""A database with 120,000 tasks, 20,000 of one user, and the rows that its plans read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from taskapi.db.statement import Statement

OWNER, SESSION, TASK = 1, 1, 60_000
LABEL, RARE_LABEL = 1_000_005, 1_000_008
LIMIT = 20
FILL = """
INSERT INTO users (id, email, hashed_password)
SELECT g, 'user' || g || '@example.com', '' FROM generate_series(1, 10000) AS g;

INSERT INTO workspaces (id, owner_id, name, version, task_count, completed_task_count)
SELECT id, id, 'Personal', 30000, 20000, 6666 FROM users;

INSERT INTO workspaces (id, owner_id, name, version)
SELECT 1998000 + n, 101, 'Shared', 9 FROM generate_series(1, 200) AS n;

INSERT INTO memberships (workspace_id, user_id, role)
SELECT 1998000 + n, user_id, CASE user_id WHEN 101 THEN 'owner' ELSE 'editor' END
FROM generate_series(1, 200) AS n, generate_series(101, 200) AS user_id;

INSERT INTO sessions (user_id, family_hash, refresh_hash, expires_at)
SELECT CASE WHEN g <= 200 THEN 1 ELSE g - 199 END, '\\x01', '\\x02', now() + interval '1 day'
FROM generate_series(1, 10199) AS g;

INSERT INTO lists (workspace_id, id, user_id, name, name_key, version)
SELECT id, id, id, 'Inbox', 'inbox', 0 FROM users;

INSERT INTO lists (workspace_id, id, user_id, name, name_key, version)
VALUES (1, 1000001, 1, 'Large', 'large', 0), (1, 1000002, 1, 'Small', 'small', 0);

INSERT INTO labels (workspace_id, user_id, id, name, name_key, version)
SELECT id, id, 4 * id + 1000000 + n, 'Label ' || n, 'label ' || n, n
FROM users, generate_series(1, 4) AS n WHERE id <= 1000;

INSERT INTO tasks (workspace_id, user_id, list_id, title, is_completed, completed_at, version,
    updated_at, due_date, priority)
SELECT owner, owner,
       CASE WHEN g % 24 = 0 THEN 1000001 WHEN g % 1200 = 6 THEN 1000002 END,
       left(CASE WHEN g % 2 = 0 THEN md5(g::text) ELSE upper(md5(g::text)) END, 4),
       g % 9 < 3, CASE WHEN g % 9 < 3 THEN now() END, g,
       now() - make_interval(secs => (g * 7919) % 1000003),
       CASE WHEN g % 4 < 3 THEN date '2026-01-01' + (g * 7919) % 997 END, g % 13 % 5
FROM generate_series(1, 120000) AS g,
     LATERAL (SELECT CASE WHEN g % 6 = 0 THEN 1 ELSE 2 + g % 9999 END AS owner) AS o;

INSERT INTO task_words (workspace_id, task_id, title_words, description_words)
SELECT workspace_id, id, array_to_tsvector(ARRAY[workspace_id || ':' || lower(title)]), ''
FROM tasks;

UPDATE tasks SET label_ids = ARRAY[4 * workspace_id + 1000001 + id % 3]
|| CASE WHEN id % 1200 = 6 THEN ARRAY[4 * workspace_id + 1000004] END
WHERE workspace_id <= 1000 AND id % 12 > 0;

UPDATE lists SET open_count = opened, completed_count = completed
FROM (SELECT list_id, count(*) FILTER (WHERE NOT is_completed) AS opened,
      count(*) FILTER (WHERE is_completed) AS completed FROM tasks GROUP BY list_id) AS counted
WHERE lists.id = counted.list_id;

UPDATE tasks SET due_date = '2026-01-05', rrule = 'FREQ=DAILY', recurrence_anchor = 'due',
recurrence_timezone = 'UTC' WHERE workspace_id <= 100 AND id % 40 = 0;

INSERT INTO occurrences (workspace_id, user_id, task_id, outcome, missed, due_date, version)
SELECT workspace_id, workspace_id, tasks.id, 'completed', 0, date '2025-01-05' + n, n
FROM tasks, generate_series(1, 40) AS n WHERE rrule IS NOT NULL;

INSERT INTO saved_filters (workspace_id, user_id, name, name_key, query, version)
SELECT 1 + g % 1000, 1 + g % 1000, 'Filter ' || g, 'filter ' || g, 'completed', g
FROM generate_series(1, 10000) AS g;

INSERT INTO comments (workspace_id, user_id, task_id, text, version)
SELECT workspace_id, workspace_id, tasks.id, 'Comment ' || n, n
FROM tasks, generate_series(1, 40) AS n WHERE rrule IS NOT NULL;

UPDATE tasks SET comment_count = 40 WHERE rrule IS NOT NULL;

SELECT setval('workspace_ids', 2000000);

VACUUM (ANALYZE) users, workspaces, memberships, sessions, lists, labels, saved_filters, tasks,
    task_words, occurrences, comments;
"""
CALLER = {
    "caller_workspace_id": OWNER,
    "caller_user_id": OWNER,
    "caller_session_id": SESSION,
}

Node = dict[str, Any]


def plan_of(connection: psycopg.Connection, statement: Statement, parameters: Node) -> list[Node]:
    """The nodes of the executed plan of a statement, which is rolled back."""
    compiled = statement.compiled(parameters)
    values = compiled.values(parameters)
    given = f"({', '.join(['%s'] * len(values))})" if values else ""
    connection.execute(b"PREPARE asked AS " + compiled.sql)
    try:
        with connection.transaction(force_rollback=True):
            (found,) = psycopg.ClientCursor(connection).execute(
                f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) EXECUTE asked {given}",
                values,
            )
    finally:
        connection.execute("DEALLOCATE asked")
    return list(_nodes(found[0][0]["Plan"]))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for part in node.get("Plans", []):
        yield from _nodes(part)


def scanned(plan: list[Node]) -> list[str]:
    return [node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"]


def rows_read(plan: list[Node], table: str) -> float:
    """The number of rows of a table that were read, including filtered ones."""
    left_out = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(
        (node["Actual Rows"] + sum(node.get(reason, 0) for reason in left_out))
        * node["Actual Loops"]
        for node in plan
        if "Scan" in node["Node Type"] and node.get("Relation Name") == table
    )
