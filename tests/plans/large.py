"""A database with 120,000 tasks, 20,000 of them one owner's, and what its plans read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from taskapi.db.statement import Statement

OWNER, SESSION, TASK = 1, 1, 60_000
LABEL, RARE_LABEL = 1_000_005, 1_000_008
LIMIT = 20
FILL = """
INSERT INTO users (email, hashed_password, version, task_count, completed_task_count)
SELECT 'user' || g || '@example.com', '', 30000, 20000, 6666 FROM generate_series(1, 10000) AS g;

INSERT INTO sessions (user_id, family_hash, refresh_hash, expires_at)
SELECT CASE WHEN g <= 200 THEN 1 ELSE g - 199 END, '\\x01', '\\x02', now() + interval '1 day'
FROM generate_series(1, 10199) AS g;

INSERT INTO lists (user_id, id, name) SELECT id, id, 'Inbox' FROM users ON CONFLICT DO NOTHING;

INSERT INTO lists (user_id, id, name) VALUES (1, 1000001, 'Large'), (1, 1000002, 'Small');

INSERT INTO labels (user_id, id, name, version)
SELECT id, 4 * id + 1000000 + n, 'Label ' || n, n
FROM users, generate_series(1, 4) AS n WHERE id <= 1000;

INSERT INTO tasks (user_id, list_id, title, is_completed, version, updated_at, due_date, priority)
SELECT CASE WHEN g % 6 = 0 THEN 1 ELSE 2 + g % 9999 END,
       CASE WHEN g % 24 = 0 THEN 1000001 WHEN g % 1200 = 6 THEN 1000002 END,
       left(CASE WHEN g % 2 = 0 THEN md5(g::text) ELSE upper(md5(g::text)) END, 4),
       g % 9 < 3, g, now() - make_interval(secs => (g * 7919) % 1000003),
       CASE WHEN g % 4 < 3 THEN date '2026-01-01' + (g * 7919) % 997 END, g % 13 % 5
FROM generate_series(1, 120000) AS g;

UPDATE tasks SET label_ids = ARRAY[4 * user_id + 1000001 + id % 3]
|| CASE WHEN id % 1200 = 6 THEN ARRAY[4 * user_id + 1000004] END
WHERE user_id <= 1000 AND id % 12 > 0;

UPDATE tasks SET due_date = '2026-01-05', rrule = 'FREQ=DAILY', recurrence_anchor = 'due',
recurrence_timezone = 'UTC' WHERE user_id <= 100 AND id % 40 = 0;

INSERT INTO occurrences (user_id, task_id, outcome, missed, due_date, version)
SELECT user_id, tasks.id, 'completed', 0, date '2025-01-05' + n, n
FROM tasks, generate_series(1, 40) AS n WHERE rrule IS NOT NULL;

INSERT INTO filters (user_id, name, query, version)
SELECT 1 + g % 1000, 'Filter ' || g, 'completed', g FROM generate_series(1, 10000) AS g;

VACUUM (ANALYZE) users, emails, sessions, lists, labels, filters, tasks, occurrences;
"""
CALLER = {"caller_user_id": OWNER, "caller_session_id": SESSION}

Node = dict[str, Any]


def plan_of(connection: psycopg.Connection, statement: Statement, parameters: Node) -> list[Node]:
    """The nodes of the plan of a statement, as it ran; what it wrote is taken back."""
    values = statement.values(parameters)
    given = ", ".join(["%s"] * len(values))
    connection.execute(b"PREPARE asked AS " + statement.sql)
    try:
        with connection.transaction(force_rollback=True):
            (found,) = psycopg.ClientCursor(connection).execute(
                f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) EXECUTE asked ({given})",
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
    """How many rows of a table were looked at, those that were then left out included."""
    left_out = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(
        (node["Actual Rows"] + sum(node.get(reason, 0) for reason in left_out))
        * node["Actual Loops"]
        for node in plan
        if "Scan" in node["Node Type"] and node.get("Relation Name") == table
    )
