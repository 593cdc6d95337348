"""The stored rows of some users as one comparable value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import Table
from support.api import Api

from config import Settings
from taskapi.extensions import db

_ROWS = sql.SQL(
    "(SELECT coalesce(string_agg(row::text, chr(10) ORDER BY row::text), '') FROM {} AS row"
    " WHERE row.{} = ANY(%(people)s))"
)


def owner_column(table: Table) -> str | None:
    """The owner column of a table; None if its rows belong to no user.

    A personal workspace has its user's id.
    """
    for name in ("workspace_id", "user_id"):
        if name in table.columns:
            return name
    return "id" if table.name in ("users", "workspaces") else None


OWNERS = {
    table.name: owner for table in db.metadata.sorted_tables if (owner := owner_column(table))
}
"""The tables with users' data, each with its owner column."""


class StoredRows:
    """All rows of these users in all tables, and the number of users."""

    def __init__(self, connection: psycopg.Connection, people: list[int]) -> None:
        self._connection = connection
        self._people = people
        parts = [
            _ROWS.format(sql.Identifier(table), sql.Identifier(owner))
            for table, owner in sorted(OWNERS.items())
        ]
        parts.append(sql.SQL("(SELECT count(*)::text FROM users)"))
        self._statement = sql.SQL("SELECT ") + sql.SQL(", ").join(parts)

    def read(self) -> tuple[str, ...]:
        found = self._connection.execute(self._statement, {"people": self._people}).fetchone()
        assert found
        return found


@contextmanager
def stored_rows(settings: Settings, *people: Api) -> Iterator[StoredRows]:
    """A reader of the stored rows of these users."""
    assert settings.database_url
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        yield StoredRows(connection, [person.user_id for person in people])
