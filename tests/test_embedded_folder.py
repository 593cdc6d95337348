"""The data folder of the embedded PostgreSQL: no other user can read, change or block it."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config import Settings
from taskapi import embedded
from taskapi.embedded import account

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent
NOBODY = 65534
PATIENCE = 60.0

START = """
from config import Settings
from taskapi import embedded
with embedded.provide(Settings.from_environment()):
    print("started")
"""

CREATE_USER = """
import sys
from pathlib import Path
from taskapi.embedded import account
account.SYSTEM_USER, account.SHARED = sys.argv[1], Path(sys.argv[2])
print(account.system_account().uid)
"""

SLOW_USERADD = """#!/bin/sh
echo started >> {log}
sleep 1
exec {program} "$@"
"""


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that PostgreSQL's user can enter, unlike the folders of pytest."""
    with tempfile.TemporaryDirectory(prefix="taskapi-test-folder-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def folder(scratch: Path) -> Path:
    return scratch / "data"


@pytest.fixture
def shared(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Takes the place of /var/lib/taskapi."""
    monkeypatch.setattr(account, "SHARED", scratch / "shared")
    return scratch / "shared"


def settings_for(folder: Path) -> Settings:
    return Settings.from_environment({"TASKAPI_DATA_DIR": str(folder)})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def start(folder: Path) -> Settings:
    """Start and stop the server; the settings that the service would have."""
    with embedded.provide(settings_for(folder)) as settings:
        assert settings.database_url
        with psycopg.connect(settings.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    return settings


def check_refused(folder: Path, message: str) -> None:
    """A start fails with this message and creates no database."""
    with (
        pytest.raises(embedded.EmbeddedError, match=message),
        embedded.provide(settings_for(folder)),
    ):
        pass
    assert not (folder / "postgres" / "PG_VERSION").exists()


def lock_as_nobody(path: Path) -> subprocess.Popen[str]:
    """Another user's process, which locks what is named until its standard input ends."""
    return subprocess.Popen(
        ["/usr/bin/flock", str(path), "sh", "-c", "echo locked; exec cat"],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_only_the_owner_can_use_the_folder(folder: Path) -> None:
    start(folder)
    assert mode(folder) & 0o067 == 0
    if os.geteuid() != 0:
        assert mode(folder) == 0o700
    for path in folder.iterdir():
        assert mode(path) & 0o077 == 0, path


def test_a_folder_of_an_earlier_release_is_closed_to_others(folder: Path) -> None:
    start(folder)
    folder.chmod(0o755)
    start(folder)
    assert mode(folder) & 0o067 == 0


@pytest.mark.root
def test_another_user_cannot_open_anything_in_the_folder(folder: Path) -> None:
    with embedded.provide(settings_for(folder)):
        for path in (folder, *folder.iterdir()):
            with lock_as_nobody(path) as process:
                said, error = process.communicate(timeout=PATIENCE)
            assert not said, path
            assert "Permission denied" in error


@pytest.mark.root
def test_another_user_who_locked_the_folder_blocks_no_start(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    environment = {"PYTHONPATH": str(ROOT), "TASKAPI_DATA_DIR": str(folder)}
    with lock_as_nobody(folder) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        done = subprocess.run(
            [sys.executable, "-c", START],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        process.communicate(timeout=PATIENCE)
    assert done.stdout == "started\n"


@pytest.mark.root
def test_another_users_folder_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "jwt.key").write_text("k" * 64)
    os.chown(folder, NOBODY, NOBODY)
    check_refused(folder, r"data belongs to user nobody, who could replace .* TASKAPI_DATA_DIR")


@pytest.mark.root
@pytest.mark.parametrize("name", ["jwt.key", "postgres.lock", "postgres.log", "postgres"])
def test_another_users_file_in_the_folder_is_refused(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).write_text("k" * 64)
    os.chown(folder / name, NOBODY, NOBODY)
    check_refused(folder, f"{name} belongs to user nobody.*TASKAPI_DATA_DIR")


@pytest.fixture
def victim(scratch: Path, folder: Path) -> Iterator[Path]:
    """A file outside of the folder, which must keep its content."""
    path = scratch / "victim"
    path.write_text("k" * 64)
    folder.mkdir()
    yield path
    assert path.read_text() == "k" * 64


@pytest.mark.parametrize(
    "name", ["jwt.key", "jwt.new", "postgres", "postgres.new", "postgres.lock", "postgres.log"]
)
def test_a_link_in_the_folder_is_refused_and_not_followed(
    folder: Path, victim: Path, name: str
) -> None:
    (folder / name).symlink_to(victim)
    check_refused(folder, f"{name} is a symbolic link.*TASKAPI_DATA_DIR")


@pytest.mark.parametrize("name", ["jwt.key", "postgres.lock", "postgres.log", "start.lock"])
def test_a_file_with_another_name_is_refused(folder: Path, victim: Path, name: str) -> None:
    (folder / name).hardlink_to(victim)
    check_refused(folder, f"{name} is also linked.*TASKAPI_DATA_DIR")


@pytest.mark.root
def test_another_users_link_to_the_folder_is_refused(scratch: Path, folder: Path) -> None:
    link = scratch / "link"
    link.symlink_to(folder)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    check_refused(link, "another user's symbolic link")
    assert not folder.exists()


@pytest.mark.parametrize("others", [[], ["mail"]], ids=["alone", "with mail"])
def test_a_folder_with_other_files_is_refused_and_left_as_it_is(
    folder: Path, others: list[str]
) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    for name in others:
        (folder / name).mkdir()
    (folder / "notes.txt").write_text("mine")
    check_refused(folder, "data contains other files.*TASKAPI_DATA_DIR")
    assert mode(folder) == 0o755
    assert sorted(path.name for path in folder.iterdir()) == [*others, "notes.txt"]


def test_a_folder_with_mail_of_a_service_with_another_database_is_used(folder: Path) -> None:
    (folder / "mail").mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "mail" / "one.eml").write_text("Subject: Hello")
    start(folder)
    assert mode(folder) & 0o067 == 0
    assert (folder / "mail" / "one.eml").read_text() == "Subject: Hello"


@pytest.mark.root
def test_processes_that_start_together_create_one_user(scratch: Path) -> None:
    name = f"taskapi-{os.getpid()}"
    slow = scratch / "useradd"
    log = scratch / "log"
    slow.write_text(SLOW_USERADD.format(program=shutil.which("useradd"), log=log))
    slow.chmod(0o755)
    environment = os.environ | {"PATH": f"{scratch}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", CREATE_USER, name, str(scratch / "shared")]
    try:
        processes = [
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        users = {process.communicate(timeout=PATIENCE)[0].strip() for process in processes}
        assert users == {str(pwd.getpwnam(name).pw_uid)}
        assert log.read_text() == "started\n"
    finally:
        subprocess.run(["userdel", name], check=False)


@pytest.mark.root
def test_data_that_postgresql_cannot_reach_is_placed_below_the_shared_directory(
    scratch: Path, shared: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    private = scratch / "private"
    private.mkdir(mode=0o700)
    first, second = start(private / "data"), start(private / "data")
    assert first.jwt_secret_key == second.jwt_secret_key
    assert mode(private) == 0o700
    assert not (private / "data").exists()
    (placed,) = shared.iterdir()
    assert (placed / "postgres" / "PG_VERSION").exists()
    assert mode(placed) & 0o067 == 0
    said = capfd.readouterr().err
    assert f"cannot enter {private}. The data is in {placed} instead of {private}/data." in said
    assert said.count("\n") == 2


@pytest.mark.root
def test_a_database_that_postgresql_cannot_reach_is_not_replaced_by_an_empty_one(
    scratch: Path, shared: Path
) -> None:
    private = scratch / "private"
    start(private / "data")
    private.chmod(0o700)
    with (
        pytest.raises(embedded.EmbeddedError, match=rf"mv {private}/data {shared}/data-\w+$"),
        embedded.provide(settings_for(private / "data")),
    ):
        pass
    assert mode(private) == 0o700


@pytest.mark.root
def test_programs_that_postgresql_cannot_reach_are_copied(
    scratch: Path, shared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = embedded.programs()[0].parents[1]
    private = scratch / "private"
    private.mkdir(mode=0o700)
    for source in (package, package.with_suffix(".libs")):
        ignored = shutil.ignore_patterns("pginstall", "__pycache__")
        shutil.copytree(source, private / source.name, symlinks=True, ignore=ignored)
    monkeypatch.syspath_prepend(private)
    assert embedded.programs()[0].is_relative_to(private)
    start(folder)
    start(folder)
    assert mode(private) == 0o700
    assert [path.name for path in shared.iterdir()] == ["postgres-0.6.0"]


@pytest.mark.root
def test_programs_installed_under_a_strict_umask_are_copied(
    scratch: Path, shared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = embedded.programs()[0].parents[1]
    for source in (package, package.with_suffix(".libs")):
        ignored = shutil.ignore_patterns("pginstall", "__pycache__")
        shutil.copytree(source, scratch / source.name, symlinks=True, ignore=ignored)
    program = scratch / package.name / "pginstall18" / "bin" / "postgres"
    program.chmod(0o700)
    monkeypatch.syspath_prepend(scratch)
    start(folder)
    assert mode(program) == 0o700
    assert shared.exists()


@pytest.mark.root
@pytest.mark.parametrize("harm", ["foreign", "writable"])
def test_a_shared_directory_that_others_can_change_is_refused(
    scratch: Path, shared: Path, harm: str
) -> None:
    private = scratch / "private"
    private.mkdir(mode=0o700)
    shared.mkdir()
    if harm == "foreign":
        os.chown(shared, NOBODY, NOBODY)
    else:
        shared.chmod(0o777)
    check_refused(private / "data", "shared must be a directory that only root can write to")
