"""Rows of an attacker's account, written past the service: to write them through it takes long."""

from __future__ import annotations

import psycopg
from support.forgery import parts_of
from support.rawhttp import Person

ESCAPED = "\x01"
"""A character that takes one byte in the database and six in JSON."""

_TASKS = """
INSERT INTO tasks (workspace_id, user_id, title, description, version, position, label_ids)
SELECT %(id)s, %(id)s, replace(%(title)s, '#', g::text),
       (SELECT string_agg(replace(%(piece)s, '#', md5(g || '.' || n)), '')
        FROM generate_series(1, %(pieces)s) AS n),
       g, %(first)s + g * CAST(%(gap)s AS numeric), %(labels)s
FROM generate_series(1, %(number)s) AS g
"""
_WORDS = """
INSERT INTO task_words (workspace_id, task_id, title_words, description_words)
SELECT workspace_id, id, array_to_tsvector(
           ARRAY(SELECT DISTINCT workspace_id || ':' || word FROM
                 regexp_split_to_table(lower(title), '[^a-z0-9]+') AS word WHERE word <> '')),
       array_to_tsvector(
           ARRAY(SELECT DISTINCT workspace_id || ':' || word FROM
                 regexp_split_to_table(lower(description), '[^a-z0-9]+') AS word WHERE word <> ''))
FROM tasks WHERE workspace_id = %(id)s
    AND NOT EXISTS (SELECT FROM task_words WHERE (workspace_id, task_id) = (tasks.workspace_id, id))
"""
_COUNT = """
UPDATE workspaces SET version = version + %(number)s, task_count = task_count + %(number)s
WHERE id = %(id)s
"""


def id_of(person: Person) -> int:
    """The id of a person, and of the personal workspace."""
    return int(parts_of(person.token)[1]["sub"])


def add_tasks(
    database: psycopg.Connection,
    person: Person,
    number: int,
    *,
    title: str = "Task #",
    piece: str = "x",
    pieces: int = 1,
    labels: list[int] | None = None,
    first: int | None = None,
    gap: str = "1",
    has_words: bool = False,
) -> None:
    """Give a person so many tasks.

    Args:
        title: `#` stands for the task's number.
        piece: the description is this text, repeated; `#` stands for other letters each time.
        pieces: how often it is repeated.
        first: the position before the first task's; None for tasks that were never moved.
        gap: between two positions.
        has_words: whether search finds the tasks.
    """
    values = {
        "id": id_of(person),
        "number": number,
        "title": title,
        "piece": piece,
        "pieces": pieces,
        "labels": labels,
        "first": first,
        "gap": gap,
    }
    with database.transaction():
        database.execute(_TASKS, values)
        if has_words:
            database.execute(_WORDS, values)
        database.execute(_COUNT, values)
    database.execute("VACUUM ANALYZE tasks, task_words")
