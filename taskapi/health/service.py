"""Whether the service can do its work."""

from __future__ import annotations

from pathlib import Path

import psycopg
from sqlalchemy import column, select, table

from taskapi.core import database
from taskapi.core.database import Statement
from taskapi.core.errors import Unavailable

HEAD_FILE = Path(__file__).parents[2] / "migrations" / "head.txt"

_PATIENCE = 1.0
"""Seconds: whoever asks whether the service is ready asks again soon."""

_revision = Statement(select(table("alembic_version", column("version_num"))), seconds=_PATIENCE)


class NotReady(Unavailable):
    """The database does not answer, or its schema is of another release."""

    code = "not_ready"
    title = "Not ready"
    detail = "The database's schema is not that of this release; run: flask db upgrade"


def migration_head() -> str:
    """The revision that this release needs."""
    return HEAD_FILE.read_text().strip()


def check_readiness() -> None:
    """See that the database answers and has this release's schema.

    Raises:
        NotReady: it has another schema, or none.
        Unavailable: it does not answer.
    """
    try:
        found = database.row(_revision)
    except psycopg.errors.UndefinedTable:
        found = None
    if found is None or found["version_num"] != migration_head():
        raise NotReady
