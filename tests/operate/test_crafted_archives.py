"""`flask restore` of a crafted archive executes nothing of it.

An archive contains the text of every statement that `pg_restore` would run. The tests replace
such a text by another of the same length, or add objects that a restore by `pg_restore` would use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support import databases
from support.api import Api

from config import Settings
from taskapi.server.operate import archive
from taskapi.tasks.models import RULES

pytestmark = pytest.mark.processes

MARKER = "executed-by-restore"
"""A file in the database's folder, which is the working directory of the server's programs."""

PROGRAM = f"cat > {MARKER}"
FUNCTION = f"""
CREATE FUNCTION attack() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    COPY (SELECT 1) TO PROGRAM '{PROGRAM}';
    RETURN 1;
END
$$
"""
OBJECTS = {
    "materialized view": "CREATE MATERIALIZED VIEW stolen AS SELECT attack()",
    "default": "ALTER TABLE users ALTER COLUMN is_active SET DEFAULT attack() = 1",
    "check": "ALTER TABLE users ADD CHECK (attack() = 1)",
    "trigger": "CREATE TRIGGER attack BEFORE INSERT ON users EXECUTE FUNCTION fire()",
}
WORKSPACE = """
INSERT INTO workspaces (id, owner_id, name) VALUES (1, 1, 'Personal');
INSERT INTO labels (workspace_id, user_id, version, name, name_key)
SELECT 1, 1, 1, n::text, n::text FROM generate_series(1, 101) AS n;
INSERT INTO tasks (workspace_id, user_id, version, title) VALUES (1, 1, 1, 'Task');
"""
VIOLATIONS = {
    "title": "title = ''",
    "description": "description = repeat('é', 10001)",
    "priority": "priority = 5",
    "estimate": "estimate_minutes = 0",
    "due": "due_date = '2026-11-27', due_time = '18:00'",
    "start": "start_timezone = 'Europe/Berlin'",
    "recurs": "rrule = 'FREQ=DAILY'",
    "depth": "depth = 1",
    "labels": "label_ids = ARRAY(SELECT id FROM labels)",
}


@pytest.fixture
def marker(run_folder: Path) -> Iterator[Path]:
    path = run_folder / "server" / "postgres" / MARKER
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def source(server_url: str, template: str, tmp_path: Path) -> str:
    """A database with an account, to be backed up."""
    url = databases.create(server_url, f"crafted_{tmp_path.name.replace('-', '_')}", template)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO users (email, hashed_password) VALUES ('ada@example.com', 'x')"
        )
    return url


@pytest.fixture
def target(server_url: str, tmp_path: Path) -> str:
    """An empty database."""
    return databases.create(server_url, f"crafted_{tmp_path.name.replace('-', '_')}_restored")


def silent(line: str) -> None:
    """Discards the progress."""


def replace(file: Path, old: bytes, new: bytes) -> None:
    """Replace a text in an archive, which stores the length of each text."""
    content = file.read_bytes()
    assert content.count(old) == 1
    assert len(new) <= len(old)
    file.write_bytes(content.replace(old, new.ljust(len(old))))


def copy_statement(url: str, table: str) -> bytes:
    """The text by which an archive loads a table."""
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0",
            [table],
        ).fetchone()
    assert columns
    return f"COPY public.{table} ({columns[0]}) FROM stdin;\n".encode()


def count(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


def tables_of(url: str) -> int:
    return count(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")


def check_refused(file: Path, target: str, message: str) -> None:
    """Check that an archive is an error with this message, and that nothing is restored."""
    with pytest.raises(archive.ArchiveError, match=message):
        archive.bring_back(target, file, silent)
    assert tables_of(target) == 0


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_of_an_archive_are_not_created(
    source: str, target: str, tmp_path: Path, marker: Path, kind: str
) -> None:
    file = tmp_path / "tasks.backup"
    with psycopg.connect(source) as connection:
        connection.execute(FUNCTION.encode())
        connection.execute(FUNCTION.replace("attack()", "fire()").replace("bigint", "trigger"))
        connection.execute(OBJECTS[kind].encode())
    marker.unlink(missing_ok=True)
    archive.back_up(source, file, silent)
    restored = archive.bring_back(target, file, silent)
    assert restored["users"] == 1
    assert not marker.exists()
    assert count(target, "SELECT count(*) FROM pg_proc WHERE proname IN ('attack', 'fire')") == 0
    assert count(target, "SELECT count(*) FROM pg_matviews") == 0


@pytest.mark.parametrize(
    "statement",
    [
        f"COPY users(email) FROM PROGRAM '{PROGRAM}';\n",
        f"COPY public.users FROM PROGRAM '{PROGRAM}';--\n",
        f"COPY (SELECT 1) TO PROGRAM '{PROGRAM}';\n",
        f"\\! {PROGRAM}\n",
        "COPY public.users (email) FROM '/etc/passwd';\n",
        "COPY public.users (email) FROM stdin; COPY public.users (email) FROM stdin;\n",
    ],
)
def test_a_statement_that_is_not_data_is_an_error(
    source: str, target: str, tmp_path: Path, marker: Path, statement: str
) -> None:
    file = tmp_path / "tasks.backup"
    archive.back_up(source, file, silent)
    replace(file, copy_statement(source, "users"), statement.encode())
    check_refused(file, target, "a statement that is not data")
    assert not marker.exists()


def test_a_sequence_is_set_without_executing_the_archives_statement(
    source: str, target: str, tmp_path: Path, marker: Path
) -> None:
    file = tmp_path / "tasks.backup"
    archive.back_up(source, file, silent)
    replace(
        file,
        b"SELECT pg_catalog.setval('public.saved_filters_id_seq', 1, false);",
        f"COPY (SELECT 1) TO PROGRAM '{PROGRAM}';".encode(),
    )
    check_refused(file, target, "a statement that is not data")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("COPY public.labels (", "COPY public.lables (", "unknown tables: lables"),
        ("COPY public.users (id, email, ", "COPY public.users (id, emial, ", "columns of users"),
        ("val('public.labels_id_seq'", "val('public.lables_id_seq'", "unknown sequence"),
        ("COPY public.alembic_version (", "COPY public.alembic_versoin (", "revision ''"),
    ],
)
def test_what_the_schema_does_not_have_is_named_and_nothing_is_restored(
    source: str, target: str, tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = tmp_path / "tasks.backup"
    archive.back_up(source, file, silent)
    replace(file, old.encode(), new.encode())
    check_refused(file, target, message)


def test_rows_that_violate_a_constraint_are_an_error_and_nothing_is_restored(
    source: str, target: str, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.backup"
    with psycopg.connect(source) as connection:
        connection.execute("ALTER TABLE users DROP CONSTRAINT ck_users_email")
        connection.execute("INSERT INTO users (email, hashed_password) VALUES ('NOBODY', 'x')")
    archive.back_up(source, file, silent)
    check_refused(file, target, "ck_users_email")


@pytest.mark.parametrize("name", RULES)
def test_tasks_that_violate_a_rule_are_an_error_and_nothing_is_restored(
    source: str, target: str, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "tasks.backup"
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(WORKSPACE)
        connection.execute(f"UPDATE tasks SET {VIOLATIONS[name]}")
    assert databases.violated_rules(source) == [name]
    archive.back_up(source, file, silent)
    check_refused(file, target, rf"the rule {name} \(1\)")


def test_an_archive_of_a_later_release_is_an_error(
    source: str, target: str, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.backup"
    with psycopg.connect(source) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    archive.back_up(source, file, silent)
    check_refused(file, target, r"revision '9999'.*release that wrote it")


def test_references_are_restored_in_their_order(
    settings: Settings, user: Api, target: str, tmp_path: Path
) -> None:
    assert settings.database_url
    label = user.expect(201, "POST", "/labels", json={"name": "Errand"})["id"]
    parent = user.task(label_ids=[label])
    user.task(parent_id=parent["id"])
    file = tmp_path / "tasks.backup"
    archive.back_up(settings.database_url, file, silent)
    archive.bring_back(target, file, silent)
    found = count(target, f"SELECT count(*) FROM tasks WHERE {label} = ANY (label_ids)")
    assert found == 1


ASSIGNED = """
INSERT INTO users (id, email, hashed_password) SELECT n, n || '@example.com', 'x'
FROM generate_series(11, 12) AS n;
INSERT INTO workspaces (id, owner_id, name) VALUES (11, 11, 'Personal'), (13, 11, 'Shared');
INSERT INTO memberships (workspace_id, user_id, role) VALUES (13, 11, 'owner'), (13, 12, 'viewer');
INSERT INTO tasks (workspace_id, user_id, version, title, assignee_id)
VALUES (11, 11, 1, 'a', 11), (13, 11, 1, 'b', 11), (13, 11, 1, 'c', 12);
"""


def test_a_member_who_left_during_the_backup_is_no_assignee_of_a_restored_task(
    source: str, target: str, tmp_path: Path
) -> None:
    file = tmp_path / "tasks.backup"
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(ASSIGNED)
        connection.execute("DELETE FROM memberships WHERE user_id = 12")
    archive.back_up(source, file, silent)
    archive.bring_back(target, file, silent)
    with psycopg.connect(target, autocommit=True) as connection:
        found = connection.execute("SELECT title, assignee_id FROM tasks ORDER BY id").fetchall()
        assert found == [("a", 11), ("b", 11), ("c", None)]
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("UPDATE tasks SET assignee_id = 12")
