"""Migrations of a later release, for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import flask_migrate
from support import databases
from support.servers import ROOT, free_port

from taskapi import create_app
from taskapi.server.health.service import migration_head

HEAD = migration_head()
NEXT = f"{int(HEAD) + 1:04}"

_TEXT = '''"""Made for a test."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{down_revision}"
{marks}


def upgrade() -> None:
{body}


def downgrade() -> None:
    pass
'''


def later(folder: Path, *bodies: str, marks: str = "") -> str:
    """A copy of the migrations with additional ones, each with these lines in its upgrade.

    Args:
        folder: the directory for the copy.
        marks: module attributes of the last one.
    """
    copy = folder / "migrations"
    shutil.copytree(databases.MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for number, body in enumerate(bodies, int(NEXT)):
        text = _TEXT.format(
            revision=f"{number:04}",
            down_revision=f"{number - 1:04}",
            marks=marks if number - int(NEXT) == len(bodies) - 1 else "",
            body="\n".join(f"    {line}" for line in body.strip().splitlines()),
        )
        (copy / "versions" / f"{number:04}_later.py").write_text(text)
    return str(copy)


def upgrade(url: str, folder: str, revision: str = "head") -> None:
    """Migrate a database to a revision of a directory."""
    with create_app(databases.settings_for(url, log_level="warning")).app_context():
        flask_migrate.upgrade(folder, revision)


def flask(url: str, *command: str) -> tuple[int, str]:
    """The exit status and the output of a `flask` command."""
    with flask_at_work(url, *command) as process:
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, output


def flask_at_work(url: str, *command: str) -> subprocess.Popen[str]:
    """A running `flask` command."""
    environment = {
        "PATH": os.environ["PATH"],
        "FLASK_SKIP_DOTENV": "1",
        "DATABASE_URL": url,
        "JWT_SECRET_KEY": databases.KEY,
        "TASKAPI_DATA_DIR": str(databases.data_folder()),
        "PORT": str(free_port()),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "flask", *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
