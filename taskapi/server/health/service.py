"""Readiness: whether the database responds, and whether this release supports its schema."""

from __future__ import annotations

from pathlib import Path

import psycopg
from sqlalchemy import column, literal_column, select, table

from taskapi.db import database
from taskapi.db.statement import Statement
from taskapi.problems import Unavailable

HEAD_FILE = Path(__file__).parents[3] / "migrations" / "head.txt"

_TIMEOUT = 1.0
"""Seconds. Load balancers repeat the check soon."""

SCHEMA = Statement(
    select(
        column("version_num").label("revision"),
        literal_column("obj_description('alembic_version'::regclass, 'pg_class')").label("oldest"),
    ).select_from(table("alembic_version")),
    seconds=_TIMEOUT,
)
"""The database's revision, and the head of the oldest release that supports it."""


class NotReady(Unavailable):
    """The database does not respond, or this release does not support its schema."""

    code = "not_ready"
    title = "Not ready"
    detail = "The database's schema is older than this release. Run: flask db upgrade"


class TooOld(NotReady):
    """The database's schema is newer and no longer supports this release."""

    detail = "The database's schema no longer supports this release. Deploy a later one."


def migration_head() -> str:
    """The revision that this release needs."""
    return HEAD_FILE.read_text().strip()


def check_readiness() -> None:
    """Check that the database responds and that this release supports its schema.

    Raises:
        NotReady: the schema is missing, too old or too new.
        Unavailable: the database does not respond.
    """
    try:
        found = database.row(SCHEMA)
    except psycopg.errors.UndefinedTable:
        found = None
    if found is None:
        raise NotReady
    check_schema(**found)


def check_schema(revision: str, oldest: str | None) -> None:
    """Check that this release supports a schema: its own, or a later one that only adds to it.

    Revisions are numbers of four digits, so that they can be compared.

    Args:
        revision: the revision of the schema.
        oldest: the head of the oldest release that supports the schema; None for any.

    Raises:
        NotReady: the schema is too old or too new.
    """
    head = migration_head()
    if revision < head:
        raise NotReady
    # An operator may have replaced the comment.
    if oldest and oldest.isdecimal() and head < oldest:
        raise TooOld
