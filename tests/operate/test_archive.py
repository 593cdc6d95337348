"""`flask backup` and `flask restore`: a consistent snapshot, restored completely."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support import databases, world
from support.api import PASSWORD, new_email
from support.calls import CALLS
from support.contract import Contract
from support.databases import KEY
from support.factor import enabled
from support.mails import undo_token
from support.resources import filled_in, sign_in_code
from support.servers import ROOT, serving
from support.writers import person, writing

from taskapi.server.operate.archive import ArchiveError, back_up

pytestmark = pytest.mark.processes


class Place:
    """A database with data, and the directory for its backup."""

    def __init__(self, server_url: str, template: str, folder: Path) -> None:
        self._server_url = server_url
        self._template = template
        self.name = f"archive_{folder.name.replace('-', '_')}"
        self.url = databases.create(server_url, self.name, template)
        self.file = folder / "tasks.backup"

    def other(self, suffix: str, template: str = "template0") -> str:
        return databases.create(self._server_url, self.name + suffix, template)

    def flask(self, *arguments: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {
            "DATABASE_URL": url or self.url,
            "JWT_SECRET_KEY": KEY,
            "PATH": "/usr/bin:/bin",
        }
        return subprocess.run(
            [sys.executable, "-m", "flask", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def place(server_url: str, template: str, tmp_path: Path) -> Place:
    return Place(server_url, template, tmp_path)


def rows(url: str) -> dict[str, list[str]]:
    """All rows of all tables except those that a restore leaves out."""
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename <> 'rate_limits'"
            " AND NOT starts_with(tablename, 'procrastinate_')"
        ).fetchall()
        return {
            name: sorted(
                row for (row,) in connection.execute(f"SELECT whole::text FROM {name} AS whole")
            )
            for (name,) in names
        }


def test_a_restored_database_works(place: Place, contract: Contract) -> None:
    account = {"email": new_email(), "password": PASSWORD}
    with serving(place.url) as url, person(url) as client:
        login = client.post("/auth/register", json=account).json()
        mine = {"Authorization": f"Bearer {login['access_token']}", "Idempotency-Key": "one"}
        label = client.post("/labels", json={"name": "Urgent"}, headers=mine).raise_for_status()
        mine |= {"Idempotency-Key": "two"}
        body = {
            "label_ids": [label.json()["id"]],
            "title": "Ünïcode \\. \t and\nlines",
            "description": "\\N",
            "priority": 4,
            "due": {"datetime": "2150-01-05T09:00:00", "timezone": "Europe/Berlin"},
            "start": {"date": "2150-01-01"},
            "recurrence": {"rrule": "FREQ=DAILY"},
        }
        task = client.post("/tasks", json=body, headers=mine).raise_for_status().json()
        path = f"/tasks/{task['id']}"
        del mine["Idempotency-Key"]
        below = {"title": "below", "parent_id": task["id"]}
        client.post("/tasks", json=below, headers=mine).raise_for_status()
        client.post("/lists", json={"name": "a"}, headers=mine).raise_for_status()
        client.post("/filters", json={"name": "a", "query": "completed"}, headers=mine)
        client.post(f"{path}/move", json={}, headers=mine).raise_for_status()
        client.post(f"{path}/complete", headers=mine).raise_for_status()
        known = client.get("/tasks", headers=mine).json()["tasks"]
        over = client.get(f"{path}/occurrences", headers=mine).json()
        mine |= {"Idempotency-Key": "two"}
    with world.worker(databases.settings_for(place.url)) as app:
        other = world.person(app, contract).registered()
        for call in CALLS:
            if call.name.startswith("create_"):
                assert filled_in(call, other).send(other).status_code == 201
        enabled(other)
        sign_in_code(other, other.email)
        assert undo_token(other)  # of a change of the email
    before = rows(place.url)
    assert [name for name, found in before.items() if not found] == []
    done = place.flask("backup", str(place.file))
    assert done.returncode == 0, done.stderr
    assert len(before["tasks"]) > 2
    for name, found in before.items():
        assert f"{name}: {len(found)} rows" in done.stdout
    assert "Done and verified" in done.stdout
    restored = place.other("_restored")
    done = place.flask("restore", str(place.file), url=restored)
    assert done.returncode == 0, done.stderr
    assert "Done and verified" in done.stdout
    assert rows(restored) == before
    assert place.flask("db", "upgrade", url=restored).returncode == 0
    with serving(restored) as url, person(url) as client:  # sequences continue
        assert client.get("/tasks", headers=mine).json()["tasks"] == known
        assert client.get(f"{path}/occurrences", headers=mine).json() == over
        assert client.post("/tasks", json=body, headers=mine).json() == task
        assert client.post("/tasks", json=body | {"label_ids": []}).json()["id"] > task["id"]


def test_a_backup_of_a_running_service_is_consistent(place: Place) -> None:
    with serving(place.url) as url, writing(url):
        done = place.flask("backup", str(place.file))
    assert done.returncode == 0, done.stderr
    restored = place.other("_restored")
    assert place.flask("restore", str(place.file), url=restored).returncode == 0
    with psycopg.connect(restored) as connection:
        wrong = connection.execute(
            "SELECT count(*) FROM workspaces WHERE task_count <>"
            " (SELECT count(*) FROM tasks WHERE workspace_id = workspaces.id)"
        ).fetchone()
        assert wrong == (0,)


def test_a_backup_overwrites_no_file(place: Place, template: str) -> None:
    place.file.write_text("precious")
    done = place.flask("backup", str(place.file))
    assert (done.returncode, place.file.read_text()) == (1, "precious")
    assert "exists" in done.stderr
    place.file.unlink()
    assert place.flask("backup", str(place.file)).returncode == 0
    done = place.flask("restore", str(place.file), url=place.other("_full", template))
    assert done.returncode == 1
    assert "not empty" in done.stderr


def test_only_the_owner_can_read_a_backup(place: Place) -> None:
    before = os.umask(0)
    try:
        assert place.flask("backup", str(place.file)).returncode == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.file.stat().st_mode) == 0o600


@pytest.mark.parametrize("is_dangling", [True, False])
def test_a_backup_does_not_follow_a_link(place: Place, *, is_dangling: bool) -> None:
    victim = place.file.with_name("victim")
    if not is_dangling:
        victim.write_text("precious")
    place.file.symlink_to(victim)
    done = place.flask("backup", str(place.file))
    assert done.returncode == 1
    assert "exists" in done.stderr
    assert place.file.is_symlink()
    assert victim.exists() is not is_dangling
    assert is_dangling or victim.read_text() == "precious"


def test_a_backup_does_not_write_through_a_file_that_another_user_prepared(place: Place) -> None:
    victim = place.file.with_name("victim")
    victim.write_text("precious")
    place.file.with_name(f"{place.file.name}.unfinished").symlink_to(victim)
    assert place.flask("backup", str(place.file)).returncode == 0
    assert victim.read_text() == "precious"
    assert not place.file.is_symlink()


def test_a_file_that_appears_during_a_backup_is_kept(place: Place) -> None:
    def write_it(line: str) -> None:
        if not place.file.exists():
            place.file.write_text("precious")

    with pytest.raises(ArchiveError, match="exists"):
        back_up(place.url, place.file, write_it)
    assert [path.read_text() for path in place.file.parent.iterdir()] == ["precious"]


def test_a_backup_into_a_missing_folder_says_so(place: Place) -> None:
    done = place.flask("backup", str(place.file.parent / "missing" / "tasks.backup"))
    assert done.returncode == 1
    assert "cannot be created: No such file or directory" in done.stderr


def test_a_restore_that_may_not_create_tables_says_why(place: Place) -> None:
    assert place.flask("backup", str(place.file)).returncode == 0
    target = place.other("_readonly")
    with psycopg.connect(target, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        read_only = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on")
        connection.execute(read_only.format(name))
    done = place.flask("restore", str(place.file), url=target)
    assert done.returncode == 1
    assert "read-only transaction" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("harm", ["cut short", "garbled", "something else"])
def test_a_damaged_file_restores_nothing(place: Place, harm: str) -> None:
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO users (email, hashed_password)"
            " SELECT n || '@example.com', md5(n::text) FROM generate_series(1, 5000) n"
        )
    assert place.flask("backup", str(place.file)).returncode == 0
    whole = place.file.read_bytes()
    middle = len(whole) // 2
    harmed = {
        "cut short": whole[:middle],
        "garbled": whole[:middle] + b"\0" * 64 + whole[middle + 64 :],
        "something else": b"SELECT 1;",
    }
    place.file.write_bytes(harmed[harm])
    restored = place.other("_restored")
    done = place.flask("restore", str(place.file), url=restored)
    assert done.returncode == 1
    assert "damaged" in done.stderr
    assert "Traceback" not in done.stderr
    with psycopg.connect(restored) as connection:
        listed = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(listed).fetchone() == (0,)


def test_an_unreachable_database_is_reported(place: Place) -> None:
    done = place.flask("backup", str(place.file), url="postgresql://u:secret@127.0.0.1:1/nothing")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "secret" not in done.stderr
    assert not list(place.file.parent.iterdir())
