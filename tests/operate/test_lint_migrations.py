"""The linter of migrations rejects statements that would lock a large table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import revisions
from support.servers import ROOT

pytestmark = pytest.mark.processes

REFUSED = {
    "adding-field-with-default": """op.add_column("tasks",
    sa.Column("seed", sa.Float, server_default=sa.text("random()"), nullable=False))""",
    "adding-required-field": """op.add_column("tasks", sa.Column("b", sa.Text, nullable=False))""",
    "require-concurrent-index-creation": """op.create_index("ix", "tasks", ["title"])""",
    "ban-concurrent-index-creation-in-transaction": (
        """op.create_index("ix", "tasks", ["title"], postgresql_concurrently=True)"""
    ),
    "require-concurrent-index-deletion": """op.drop_index("ix_tasks_state", "tasks")""",
    "changing-column-type": """op.alter_column("tasks", "title", type_=sa.Text)""",
    "adding-not-nullable-field": """op.alter_column("tasks", "description", nullable=False)""",
    "constraint-missing-not-valid": """op.create_check_constraint("c", "tasks", "version > 0")""",
    "adding-foreign-key-constraint": (
        """op.create_foreign_key("f", "tasks", "users", ["user_id"], ["id"])"""
    ),
    "disallowed-unique-constraint": """op.create_unique_constraint("u", "tasks", ["title"])""",
    "renaming-column": """op.alter_column("tasks", "title", new_column_name="name")""",
    "ban-drop-column": """op.drop_column("tasks", "description")""",
    "ban-drop-table": """op.drop_table("tasks")""",
}

SAFE = """
op.add_column("tasks", sa.Column("priority", sa.BigInteger, server_default=sa.text("0")))
op.create_check_constraint(
    "priority", "tasks", "priority >= 0", postgresql_not_valid=True)
"""
CONCURRENT = """
with op.get_context().autocommit_block():
    op.drop_index("ix_priority", if_exists=True, postgresql_concurrently=True)
    op.create_index("ix_priority", "tasks", ["priority"], postgresql_concurrently=True)
"""
VALIDATE = """op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT ck_tasks_priority")"""
NOT_NULL = """
op.create_check_constraint("set", "tasks", "priority IS NOT NULL", postgresql_not_valid=True)
"""
FOREIGN_KEY = """
op.create_foreign_key("f", "tasks", "users", ["priority"], ["id"], postgresql_not_valid=True)
"""
UNIQUE = """op.execute("ALTER TABLE tasks ADD CONSTRAINT u UNIQUE USING INDEX ix_priority")"""
CONTRACT = """op.drop_column("tasks", "description")"""
REASON = 'exempt = {"ban-drop-column": "no code reads it since the last release"}'
OLDEST = f'oldest_code = "{revisions.HEAD}"'


def _lint(folder: str) -> tuple[int, str]:
    """The exit status and the output."""
    command = [sys.executable, str(ROOT / "scripts" / "lint-migrations"), folder]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ran.returncode, ran.stderr


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The findings for all statements, each in its own migration."""
    folder = revisions.later(tmp_path_factory.mktemp("refused"), *REFUSED.values())
    status, output = _lint(folder)
    assert status == 1
    return output


@pytest.mark.parametrize("rule", REFUSED)
def test_a_migration_that_locks_a_table_is_rejected(rule: str, refusals: str) -> None:
    number = int(revisions.NEXT) + list(REFUSED).index(rule)
    assert f"{number:04}_later.py: {rule}: " in refusals


def test_a_migration_without_long_locks_is_accepted(tmp_path: Path) -> None:
    steps = (SAFE, CONCURRENT, VALIDATE, NOT_NULL, FOREIGN_KEY, UNIQUE)
    assert _lint(revisions.later(tmp_path, *steps)) == (0, "")


def test_an_exemption_has_a_reason_and_the_oldest_code(tmp_path: Path) -> None:
    folder = revisions.later(tmp_path, CONTRACT, marks=f"{REASON}\n{OLDEST}")
    assert _lint(folder) == (0, "")


@pytest.mark.parametrize(
    ("body", "marks", "complaint"),
    [
        (CONTRACT, REASON, "must set `oldest_code`"),
        (SAFE, REASON, "unnecessary exemption: the migration does not violate ban-drop-column"),
    ],
    ids=["no oldest code", "needless"],
)
def test_an_incomplete_exemption_is_rejected(
    body: str, marks: str, complaint: str, tmp_path: Path
) -> None:
    status, output = _lint(revisions.later(tmp_path, body, marks=marks))
    assert status == 1
    assert complaint in output
