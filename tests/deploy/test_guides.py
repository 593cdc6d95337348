"""The deployment guides: their SQL runs, and their settings exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psycopg
import pytest
from support.servers import ROOT

from config import Settings

GUIDES = sorted((ROOT / "docs" / "deploy").glob("*.md"))
OTHER_PROGRAMS = {"SSL_CERT_FILE", "GUNICORN_CMD_ARGS"}


def _blocks(language: str, text: str) -> list[str]:
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in found]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_shell_commands_parse_and_sql_runs(database_url: str, guide: Path) -> None:
    text = guide.read_text()
    for block in _blocks("sh", text):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
    with psycopg.connect(database_url) as connection:
        for block in _blocks("sql", text):
            for role in set(re.findall(r"ALTER ROLE (\w+)", block)):
                connection.execute(f"CREATE ROLE {role}")
            connection.execute(block)
        connection.rollback()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_settings_in_guides_exist(guide: Path) -> None:
    known = {name.upper() for name in Settings.__dataclass_fields__} | OTHER_PROGRAMS
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", guide.read_text()))
    assert named <= known
