"""Whether the service can do its work."""

from __future__ import annotations

from pathlib import Path

import psycopg
from sqlalchemy import column, literal_column, select, table

from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.problems import Unavailable

HEAD_FILE = Path(__file__).parents[3] / "migrations" / "head.txt"

_PATIENCE = 1.0
"""Seconds: whoever asks whether the service is ready asks again soon."""

SCHEMA = Statement(
    select(
        column("version_num").label("revision"),
        literal_column("obj_description('alembic_version'::regclass, 'pg_class')").label("oldest"),
    ).select_from(table("alembic_version")),
    seconds=_PATIENCE,
)
"""The database's revision, and the head of the oldest code that works with it, from migrations."""


class NotReady(Unavailable):
    """The database does not answer, or its schema is of another release."""

    code = "not_ready"
    title = "Not ready"
    detail = "The database's schema is not that of this release; run: flask db upgrade"


class TooOld(NotReady):
    """The database's schema has left this release behind."""

    detail = "The database's schema no longer works with this release; deploy a later one."


def migration_head() -> str:
    """The revision that this release needs."""
    return HEAD_FILE.read_text().strip()


def check_readiness() -> None:
    """See that the database answers and has a schema that this release works with.

    Raises:
        NotReady: it has an earlier schema, or none, or one that is too late.
        Unavailable: it does not answer.
    """
    try:
        found = database.row(SCHEMA)
    except psycopg.errors.UndefinedTable:
        found = None
    if found is None:
        raise NotReady
    check_schema(**found)


def check_schema(revision: str, oldest: str | None) -> None:
    """See that this release works with a schema: its own, or one that only adds to it.

    Revisions are numbers of four digits, so that code knows one that came after it.

    Args:
        revision: of the schema.
        oldest: the head of the oldest code that works with it; None for any.

    Raises:
        NotReady: it is earlier, or leaves this release behind.
    """
    head = migration_head()
    if revision < head:
        raise NotReady
    # Somebody may have written a comment of their own.
    if oldest and oldest.isdecimal() and head < oldest:
        raise TooOld
