"""What commands print: offered commands, errors of the database, log lines, revisions."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support import databases
from support.servers import ROOT

from taskapi.server.health.service import migration_head

pytestmark = pytest.mark.processes

SECRET = "secret@example.com"
_numbers = itertools.count(1)


@pytest.fixture
def empty(server_url: str, worker_id: str) -> Iterator[str]:
    """The URL of an empty database."""
    yield from _database(server_url, f"commands_{worker_id}_{next(_numbers)}", "template0")


@pytest.fixture
def migrated(server_url: str, worker_id: str, template: str) -> Iterator[str]:
    """The URL of a migrated database."""
    yield from _database(server_url, f"commands_{worker_id}_{next(_numbers)}", template)


def _database(server_url: str, name: str, template: str) -> Iterator[str]:
    yield databases.create(server_url, name, template)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name)))


def _flask(url: str, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A command; its standard error is part of its output."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "JWT_SECRET_KEY": databases.KEY,
        "BCRYPT_ROUNDS": "4",
        "FLASK_SKIP_DOTENV": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=ROOT,
        env=environment,
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def test_only_commands_that_fit_are_offered(empty: str) -> None:
    offered = _flask(empty, "--help").stdout.partition("Commands:")[2]
    names = re.findall(r"^  ([a-z-]+)", offered, re.MULTILINE)
    assert {"backup", "db", "demo", "purge", "restore", "serve", "users"} <= set(names)
    assert not {"run", "shell"} & set(names)
    offered = _flask(empty, "db", "--help").stdout.partition("Commands:")[2]
    names = re.findall(r"^  ([a-z-]+)", offered, re.MULTILINE)
    assert {"current", "upgrade", "downgrade", "revision"} <= set(names)
    assert not {"branches", "init", "list-templates", "merge"} & set(names)


@pytest.mark.parametrize(
    "command",
    [
        "backup {}",
        "demo",
        "purge",
        "sessions end-all --yes",
        "users create ada@example.com",
        "users delete ada@example.com --yes",
        "users list",
        "users show ada@example.com",
    ],
)
def test_a_command_without_a_schema_says_how_to_create_it(
    empty: str, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "backup"
    done = _flask(empty, *command.format(file).split(), typed="a long enough password\n")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("Error: ")
    assert done.stdout.rstrip().endswith("run: flask db upgrade")
    assert "Traceback" not in done.stdout
    assert not file.exists()


def test_a_backup_of_a_downgraded_database_fails(migrated: str, tmp_path: Path) -> None:
    assert _flask(migrated, "db", "downgrade", "base").returncode == 0
    done = _flask(migrated, "backup", str(tmp_path / "backup"))
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "There is nothing to back up." in done.stdout


@pytest.mark.parametrize("command", [f"users create {SECRET}", f"demo --email {SECRET}"])
def test_an_error_of_the_database_shows_no_values(migrated: str, command: str) -> None:
    check = f"CHECK (email <> '{SECRET}')"
    with psycopg.connect(migrated) as connection:
        connection.execute(f"ALTER TABLE users ADD CONSTRAINT ck_users_test {check}")
    done = _flask(migrated, *command.split(), typed="a long enough password\n")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "Error: The database rejected a statement: CheckViolation (SQLSTATE 23514, constraint"
        " ck_users_test). The log of the database has the details."
    )
    for part in (SECRET, "$2b$", "Traceback", "a long enough password"):
        assert part not in done.stdout


def test_a_failed_migration_shows_no_values(empty: str) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute(sql.SQL("CREATE TABLE users (email text)"))
        connection.execute("INSERT INTO users VALUES (%s)", [SECRET])
    done = _flask(empty, "db", "upgrade")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(
        "Error: The database rejected a statement: DuplicateTable (SQLSTATE 42P07)"
    )
    assert "Traceback" not in done.stdout


def test_an_unreachable_database_is_reported_without_a_traceback(empty: str) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    for command in (("users", "list"), ("db", "upgrade"), ("purge",)):
        done = _flask(url, *command)
        assert done.returncode == 1
        assert "Error: " in done.stdout
        assert "Traceback" not in done.stdout


def test_log_lines_follow_the_output(migrated: str) -> None:
    lines = _flask(migrated, "demo", "--tasks", "30").stdout.splitlines()
    logged = ["user_created" in line for line in lines]
    assert sum(logged) == 1
    assert logged[-1]
    assert lines[-3].startswith("demo@example.com has 30 tasks.")


def test_an_upgrade_says_which_revisions_it_runs(empty: str) -> None:
    head = migration_head()
    first = _flask(empty, "db", "upgrade").stdout
    assert "Upgraded to 0001: The tables of accounts, workspaces and tasks." in first
    assert f"Upgraded to {head}: " in first
    assert "Upgraded" not in _flask(empty, "db", "upgrade").stdout
    downgraded = _flask(empty, "db", "downgrade", "base").stdout
    assert downgraded.splitlines()[-1].startswith("Downgraded from 0001: ")


def test_a_new_migration_is_formatted_and_linted(empty: str, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    subprocess.run(["cp", "-r", databases.MIGRATIONS, folder], check=True)
    number = f"{int(migration_head()) + 1:04}"
    arguments = ("--rev-id", number, "-m", "energy of a task")
    assert _flask(empty, "db", "revision", "-d", str(folder), *arguments).returncode == 0
    generated = (folder / "versions" / f"{number}_energy_of_a_task.py").read_text()
    name = f"migrations/versions/{number}_energy_of_a_task.py"
    for check in (["check"], ["format", "--check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--stdin-filename", name, "-"],
            cwd=ROOT,
            input=generated,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
