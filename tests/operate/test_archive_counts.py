"""An incomplete backup or restore fails with a message.

PostgreSQL's programs are replaced by scripts that call them and drop the rows of a table.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from support import databases
from support.api import Api

from config import Settings
from taskapi import embedded
from taskapi.server.operate import archive

pytestmark = pytest.mark.processes

LOSSY_DUMP = """#!/bin/sh
case "$*" in
    *--version*) exec {program} "$@" ;;
    *) exec {program} --exclude-table-data={table} "$@" ;;
esac
"""
LOSSY_RESTORE = """#!/bin/sh
case "$*" in
    *--table={table}*) ;;
    *) exec {program} "$@" ;;
esac
"""
TABLES = ("tasks", "sessions", "users")


@pytest.fixture
def lossy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Replaces one of PostgreSQL's programs by a script."""

    def replace(program: str, script: str, table: str) -> None:
        (folder,) = embedded.programs()
        bin_folder = tmp_path / "bin"
        bin_folder.mkdir()
        path = bin_folder / program
        path.write_text(script.format(program=folder / program, table=table))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin")

    return replace


@pytest.fixture
def other(server_url: str, tmp_path: Path) -> str:
    """An empty database."""
    return databases.create(server_url, f"counts_{tmp_path.name.replace('-', '_')}")


def silent(line: str) -> None:
    """Ignores progress messages."""


def tables_of(url: str) -> int:
    counted = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    with psycopg.connect(url) as connection:
        row = connection.execute(counted).fetchone()
    assert row
    return int(row[0])


@pytest.mark.parametrize("table", TABLES)
def test_an_archive_without_all_rows_is_not_a_backup(
    settings: Settings, user: Api, tmp_path: Path, lossy: Callable[..., None], table: str
) -> None:
    assert settings.database_url
    user.task()
    lossy("pg_dump", LOSSY_DUMP, table)
    file = tmp_path / "tasks.backup"
    with pytest.raises(archive.ArchiveError, match="incomplete"):
        archive.back_up(settings.database_url, file, silent)
    assert list(tmp_path.glob("tasks.backup*")) == []


def test_a_restore_without_all_rows_fails(
    settings: Settings, user: Api, tmp_path: Path, lossy: Callable[..., None], other: str
) -> None:
    assert settings.database_url
    user.task()
    file = tmp_path / "tasks.backup"
    counts = archive.back_up(settings.database_url, file, silent)
    assert counts["tasks"] > 0
    lossy("pg_restore", LOSSY_RESTORE, "task_words")
    with pytest.raises(archive.ArchiveError, match="Not everything was restored"):
        archive.bring_back(other, file, silent)


def test_a_complete_backup_and_restore_report_their_counts(
    settings: Settings, user: Api, tmp_path: Path, other: str
) -> None:
    assert settings.database_url
    user.task()
    file = tmp_path / "tasks.backup"
    counts = archive.back_up(settings.database_url, file, silent)
    assert archive.bring_back(other, file, silent) == counts
    assert tables_of(other) == tables_of(settings.database_url)
