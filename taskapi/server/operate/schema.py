"""The schema of a restored database: that of our own migrations, not that of the archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask
from sqlalchemy.exc import DBAPIError

from config import Settings
from taskapi.db.engine import engine_config
from taskapi.extensions import db, migrate
from taskapi.server.operate.programs import ArchiveError

_MIGRATIONS = Path(__file__).parents[3] / "migrations"


@contextmanager
def created(url: str, revision: str) -> Iterator[None]:
    """Create the schema of a revision in an empty database, and remove it if the block fails.

    Raises:
        ArchiveError: this release has no such revision.
    """
    app = Flask("taskapi")
    app.config.update(engine_config(Settings(database_url=url)))
    db.init_app(app)
    migrate.init_app(app, db)
    alembic: Any = import_module("alembic.command")  # not part of a worker's memory
    with app.app_context():
        config = app.extensions["migrate"].migrate.get_config(_MIGRATIONS)
        scripts = import_module("alembic.script").ScriptDirectory.from_config(config)
        known = {script.revision for script in scripts.walk_revisions()}
        if revision not in known:
            raise ArchiveError(
                f"The archive's schema has revision {revision[:20]!r}; this release knows"
                f" {', '.join(sorted(known))}. Restore it with the release that wrote it."
            )
        try:
            _upgrade(alembic, config, revision)
            yield
        except BaseException:
            # What failed may fail here too, and is the error to report.
            with suppress(DBAPIError, psycopg.Error):
                alembic.downgrade(config, "base")
                with psycopg.connect(url) as connection:
                    connection.execute("DROP TABLE IF EXISTS alembic_version")
            raise


def _upgrade(alembic: Any, config: Any, revision: str) -> None:
    try:
        alembic.upgrade(config, revision)
    except DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise ArchiveError(f"The tables cannot be created: {reason}") from error
