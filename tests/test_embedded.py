"""The embedded PostgreSQL: start, stop, sharing and recovery."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import pq

from config import Settings
from taskapi import embedded

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0

# Prints the server's URL and the key, then uses the server until its standard input ends.
USER = """
import sys
from config import Settings
from taskapi import embedded
with embedded.provide(Settings.from_environment()) as settings:
    print(settings.database_url, settings.jwt_secret_key, flush=True)
    sys.stdin.read()
"""


class User:
    """Another process that uses the embedded server of a directory."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER],
            cwd=ROOT,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "TASKAPI_DATA_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_for_server(self) -> tuple[str, str]:
        assert self.process.stdout
        url, key = self.process.stdout.readline().split()
        return url, key

    def leave(self) -> int:
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@contextmanager
def users(folder: Path, count: int = 1) -> Iterator[list[User]]:
    started = [User(folder) for _ in range(count)]
    try:
        yield started
    finally:
        for user in started:
            user.kill()


def settings_for(folder: Path, **environ: str) -> Settings:
    return Settings.from_environment({"TASKAPI_DATA_DIR": str(folder), **environ})


def server_pid(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


def is_running(pid: int) -> bool:
    try:
        return "postgres" in " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def answer(url: str | None, statement: str) -> object:
    assert url
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A separate directory, because pytest's own is inaccessible to PostgreSQL's user."""
    with tempfile.TemporaryDirectory(prefix="taskapi-test-embedded-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def folder(scratch: Path) -> Iterator[Path]:
    """A data directory. A server that a failed test left there is stopped."""
    path = scratch / "data"
    yield path
    if (path / "postgres" / "postmaster.pid").exists():
        with embedded.provide(settings_for(path)):
            pass


def test_a_configured_database_is_used(folder: Path) -> None:
    named = settings_for(
        folder, DATABASE_URL="postgresql://db.example.com/tasks", JWT_SECRET_KEY="k" * 32
    )
    with embedded.provide(named) as settings:
        assert settings is named
    assert not folder.exists()


def test_starts_serves_and_stops(folder: Path) -> None:
    with embedded.provide(settings_for(folder)) as settings:
        assert answer(settings.database_url, "SHOW server_version_num") >= "180000"
        assert settings.database_prepare
        pid = server_pid(folder)
    assert not is_running(pid)


def test_data_and_key_survive_the_server(folder: Path) -> None:
    with embedded.provide(settings_for(folder)) as first:
        answer(first.database_url, "CREATE TABLE kept AS SELECT 42 AS number")
    with embedded.provide(settings_for(folder)) as second:
        assert answer(second.database_url, "SELECT number FROM kept") == 42
    assert first.jwt_secret_key == second.jwt_secret_key


def test_a_configured_key_is_used(folder: Path) -> None:
    with embedded.provide(settings_for(folder, JWT_SECRET_KEY="k" * 32)) as settings:
        assert settings.jwt_secret_key == "k" * 32


def test_only_the_owner_reads_the_key_the_log_and_the_data(folder: Path) -> None:
    with embedded.provide(settings_for(folder)):
        for name in ("jwt.key", "postgres.log", "postgres"):
            assert (folder / name).stat().st_mode & 0o077 == 0, name


def test_the_last_process_stops_the_server(folder: Path) -> None:
    with users(folder) as [other]:
        other.wait_for_server()
        pid = server_pid(folder)
        with embedded.provide(settings_for(folder)) as settings:
            assert server_pid(folder) == pid
            assert other.leave() == 0
            assert answer(settings.database_url, "SELECT 1") == 1
        assert not is_running(pid)


def test_the_first_process_to_end_leaves_it_running(folder: Path) -> None:
    with users(folder) as [other]:
        url, _ = other.wait_for_server()
        with embedded.provide(settings_for(folder)):
            pass
        assert answer(url, "SELECT 1") == 1
        pid = server_pid(folder)
        assert other.leave() == 0
        assert not is_running(pid)


def test_a_fork_does_not_stop_the_server_of_its_parent(folder: Path) -> None:
    with embedded.provide(settings_for(folder)) as settings:
        answer(settings.database_url, "CREATE TABLE seen (number int)")
        program = """
import os, sys
from config import Settings
from taskapi import embedded
with embedded.provide(Settings.from_environment()):
    child = os.fork()
if child:
    os.waitpid(child, 0)
"""
        environ = {"PYTHONPATH": str(ROOT), "TASKAPI_DATA_DIR": str(folder)}
        command = [sys.executable, "-c", program]
        subprocess.run(command, env=environ, cwd=ROOT, check=True, timeout=PATIENCE)
        assert answer(settings.database_url, "SELECT count(*) FROM seen") == 0


def test_concurrent_first_starts_share_server_and_key(folder: Path) -> None:
    with users(folder, count=4) as started:
        answers = {user.wait_for_server() for user in started}
        assert len(answers) == 1
        pid = server_pid(folder)
        for user in started:
            assert user.leave() == 0
    assert not is_running(pid)


def test_an_orphaned_server_is_reused(folder: Path) -> None:
    with users(folder) as [other]:
        other.wait_for_server()
        pid = server_pid(folder)
        other.kill()
        assert is_running(pid)
        with embedded.provide(settings_for(folder)) as settings:
            assert server_pid(folder) == pid
            assert answer(settings.database_url, "SELECT 1") == 1
    assert not is_running(pid)


def test_a_server_that_was_killed_recovers(folder: Path) -> None:
    with users(folder) as [other]:
        url, _ = other.wait_for_server()
        answer(url, "CREATE TABLE kept AS SELECT 42 AS number")
        pid = server_pid(folder)
        other.kill()
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
    with embedded.provide(settings_for(folder)) as settings:
        assert answer(settings.database_url, "SELECT number FROM kept") == 42


def test_the_start_waits_for_a_query_of_a_killed_server(folder: Path) -> None:
    # A query that only computes does not notice that its server was killed.
    busy = b"SELECT count(*) FROM generate_series(1, 20000000)"
    with users(folder) as [other]:
        url, _ = other.wait_for_server()
        client = pq.PGconn.connect(url.encode())
        client.send_query(busy)
        time.sleep(0.2)
        pid = server_pid(folder)
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        other.kill()
        with embedded.provide(settings_for(folder)) as settings:
            assert answer(settings.database_url, "SELECT 1") == 1
        client.finish()


def test_a_reused_process_id_is_not_a_server(folder: Path) -> None:
    with embedded.provide(settings_for(folder)):
        lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    lines[0] = str(os.getpid())
    (folder / "postgres" / "postmaster.pid").write_text("\n".join(lines) + "\n")
    with embedded.provide(settings_for(folder)) as settings:
        assert answer(settings.database_url, "SELECT 1") == 1


def test_an_interrupted_first_start_is_repeated(folder: Path) -> None:
    (folder / "postgres.new").mkdir(parents=True)
    (folder / "postgres.new" / "PG_VERSION").write_text("18\n")
    (folder / "jwt.new").write_text("half")
    with embedded.provide(settings_for(folder)) as settings:
        assert answer(settings.database_url, "SELECT 1") == 1
    assert not (folder / "postgres.new").exists()
    assert not (folder / "jwt.new").exists()


@pytest.mark.parametrize("name", ["deep/" * 40 + "end", "a b, c'\"$x%41 ü"])
def test_any_path_works(scratch: Path, name: str) -> None:
    path = scratch / name
    for _ in range(2):
        with embedded.provide(settings_for(path)) as settings:
            assert answer(settings.database_url, "SELECT 1") == 1
            pid = server_pid(path)
        assert not is_running(pid)


def test_two_directories_have_two_servers(scratch: Path) -> None:
    one, two = scratch / "one", scratch / "two"
    with (
        embedded.provide(settings_for(one)) as first,
        embedded.provide(settings_for(two)) as second,
    ):
        assert server_pid(one) != server_pid(two)
        assert first.database_url != second.database_url
        assert first.jwt_secret_key != second.jwt_secret_key
        assert answer(first.database_url, "SELECT 1") == 1
        assert answer(second.database_url, "SELECT 1") == 1


def test_the_callers_postgresql_variables_do_not_matter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    with embedded.provide(settings_for(folder)) as settings:
        assert answer(settings.database_url, "SELECT 1") == 1


def test_a_missing_package_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with (
        pytest.raises(embedded.EmbeddedError, match=r"requirements-embedded\.txt"),
        embedded.provide(settings_for(folder)),
    ):
        pass


def test_an_unusable_directory_is_reported(scratch: Path) -> None:
    (scratch / "file").write_text("")
    with (
        pytest.raises(embedded.EmbeddedError, match=r"file.*cannot be used"),
        embedded.provide(settings_for(scratch / "file")),
    ):
        pass


def test_a_damaged_key_is_reported_and_nothing_stays_running(folder: Path) -> None:
    folder.mkdir()
    (folder / "jwt.key").write_text("short")
    with (
        pytest.raises(embedded.EmbeddedError, match=r"jwt\.key is damaged"),
        embedded.provide(settings_for(folder)),
    ):
        pass
    assert not (folder / "postgres" / "postmaster.pid").exists()


def test_the_servers_messages_are_passed_on(folder: Path) -> None:
    with embedded.provide(settings_for(folder)):
        pass
    (folder / "postgres" / "PG_VERSION").write_text("9\n")
    with (
        pytest.raises(embedded.EmbeddedError, match="incompatible with server"),
        embedded.provide(settings_for(folder)),
    ):
        pass
