"""What the database holds of some people, as one value to compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from support.api import Api

from config import Settings

_TABLES = (
    "SELECT table_name, max(column_name) FROM information_schema.columns"
    " WHERE table_schema = 'public' AND column_name IN ('user_id', 'workspace_id', 'owner_id')"
    " GROUP BY 1 ORDER BY 1"
)
_ROWS = sql.SQL(
    "(SELECT coalesce(string_agg(row::text, chr(10) ORDER BY row::text), '') FROM {} AS row"
    " WHERE row.{} = ANY(%(people)s))"
)


class Books:
    """Every row that belongs to these people, whatever table it is in, and how many people are."""

    def __init__(self, connection: psycopg.Connection, people: list[int]) -> None:
        self._connection = connection
        self._people = people
        owned = connection.execute(_TABLES).fetchall()
        parts = [
            _ROWS.format(sql.Identifier(table), sql.Identifier(owner))
            for table, owner in [("users", "id"), *owned]
        ]
        parts.append(sql.SQL("(SELECT count(*)::text FROM users)"))
        self._statement = sql.SQL("SELECT ") + sql.SQL(", ").join(parts)

    def read(self) -> tuple[str, ...]:
        found = self._connection.execute(self._statement, {"people": self._people}).fetchone()
        assert found
        return found


@contextmanager
def books(settings: Settings, *people: Api) -> Iterator[Books]:
    """What is kept of these people, to be read as often as needed."""
    assert settings.database_url
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        yield Books(connection, [person.user_id for person in people])
