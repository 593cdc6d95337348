"""`flask serve`, which is `make run`: start, stop and errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from support import databases
from support.servers import free_port

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
AT_ONCE = 10.0
"""Less than the 25 seconds that a stop may take while requests are in flight."""

pytestmark = pytest.mark.processes


def environment(folder: Path, **settings: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "FLASK_SKIP_DOTENV": "1",
        "TASKAPI_DATA_DIR": str(folder),
        "WEB_CONCURRENCY": "1",
        **settings,
    }


def flask(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=ROOT,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def wait_until(event: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not event():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} seconds: {what}"
        time.sleep(0.02)


def left_of(folder: Path) -> list[psutil.Process]:
    """The processes that use a data directory below this one."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            data = process.environ().get("TASKAPI_DATA_DIR", "")
            if data.startswith(str(folder)) or str(folder) in " ".join(process.cmdline()):
                found.append(process)
    return found


@contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """Start processes that Ctrl-C ends, although a shell without job control ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Run:
    """`flask serve` in its own process group, as in a terminal."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self.started = time.monotonic()
        with log.open("w") as output, heeding_ctrl_c():
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flask", "serve"],
                cwd=ROOT,
                env=environment(folder, PORT=str(self.port)),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_until_ready(self) -> float:
        """Seconds from the start."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.output
            return "taskapi is ready" in self.output

        wait_until(is_ready, self.output)
        assert f"{self.url}/docs" in self.output
        assert httpx.get(f"{self.url}/readyz", timeout=PATIENCE).status_code == 200
        return time.monotonic() - self.started

    def processes(self) -> list[psutil.Process]:
        """`flask serve`, gunicorn and PostgreSQL with all their children."""
        try:
            serve = psutil.Process(self.process.pid)
            return [serve, *serve.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def signal_group(self, number: int) -> None:
        """Ctrl-C in the terminal, which does not reach PostgreSQL's session."""
        os.killpg(self.process.pid, number)

    def end(self, number: int = signal.SIGINT) -> None:
        """Stop it like a user. It must exit with status 0 and leave no process."""
        before = self.processes()
        self.signal_group(number)
        assert self.process.wait(AT_ONCE) == 0, self.output
        _, alive = psutil.wait_procs(before, timeout=AT_ONCE)
        assert not alive
        assert "Traceback" not in self.output
        assert not (self.folder / "postgres" / "postmaster.pid").exists()


@contextmanager
def running(folder: Path) -> Iterator[Run]:
    run = Run(folder, folder.with_suffix(f".{time.monotonic_ns()}.log"))
    processes: list[psutil.Process] = []
    try:
        run.wait_until_ready()
        processes = run.processes()
        yield run
    finally:
        # Kill the processes that a failed test of this run has left.
        for process in processes or run.processes():
            if process.is_running():
                process.kill()
        run.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A separate directory, because pytest's own is inaccessible to PostgreSQL's user."""
    with tempfile.TemporaryDirectory(prefix="taskapi-test-run-") as path:
        Path(path).chmod(0o755)
        yield Path(path)
        _, left = psutil.wait_procs(left_of(Path(path)), timeout=AT_ONCE)
        for process in left:
            process.kill()
        assert left == [], "the tests left processes running"


@pytest.fixture(scope="module")
def folder(scratch: Path) -> Path:
    """A data directory that the tests share, as `make run` uses instance/."""
    return scratch / "data"


def test_it_serves_until_ctrl_c_and_starts_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for start in ("first", "second"):
        with running(folder) as run:
            seconds = time.monotonic() - run.started
            with capsys.disabled():
                sys.stdout.write(f"\n{start} flask serve: ready after {seconds:.1f} s\n")
            run.end()


def test_ctrl_c_during_the_start_leaves_nothing_running(folder: Path) -> None:
    for pause in (0.6, 1.2):
        run = Run(folder, folder.with_suffix(f".{pause}.log"))
        time.sleep(pause)
        before = run.processes()
        run.signal_group(signal.SIGINT)
        # It had not started to serve: Python, click or `flask serve` ended it.
        assert run.process.wait(AT_ONCE) in (0, 1, 130, -signal.SIGINT), run.output
        _, alive = psutil.wait_procs(before, timeout=AT_ONCE)
        assert not alive
        assert not (folder / "postgres" / "postmaster.pid").exists()


def test_it_starts_after_all_its_processes_were_killed(folder: Path) -> None:
    with running(folder) as run:
        run.signal_group(signal.SIGKILL)
        assert run.process.wait(PATIENCE) == -signal.SIGKILL
        # PostgreSQL has its own session, so it still runs.
        with running(folder) as second:
            second.end()


def test_killing_it_frees_the_port(folder: Path) -> None:
    with running(folder) as run:
        run.process.kill()
        assert run.process.wait(PATIENCE) == -signal.SIGKILL

        def is_free() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", run.port)) != 0

        wait_until(is_free, "the port is free")
        with running(folder) as second:
            second.end()


def test_a_worker_that_does_not_end_is_killed(folder: Path) -> None:
    with running(folder) as run:
        (worker,) = [one for one in run.processes() if one.cmdline()[-1] == "worker"]
        worker.suspend()
        run.signal_group(signal.SIGTERM)
        assert run.process.wait(PATIENCE) == 0, run.output
        worker.wait(AT_ONCE)


def test_a_command_works_with_and_without_the_service(folder: Path) -> None:
    with running(folder) as run:
        listed = flask(folder, "users", "list")
        assert listed.returncode == 0, listed.stderr
        assert httpx.get(f"{run.url}/readyz", timeout=PATIENCE).status_code == 200
        run.end()
    listed = flask(folder, "users", "list")
    assert listed.returncode == 0, listed.stderr
    assert not (folder / "postgres" / "postmaster.pid").exists()


def test_two_first_starts_share_a_database_and_a_third_has_its_own(scratch: Path) -> None:
    names = {"one": "shared", "two": "shared", "three": "own"}
    runs = [Run(scratch / data, scratch / f"{name}.log") for name, data in names.items()]
    with ExitStack() as stack:
        for run in runs:
            stack.callback(run.process.wait, PATIENCE)
            stack.callback(run.process.terminate)
        for run in runs:
            run.wait_until_ready()
        one, two, three = runs
        one.process.terminate()
        assert one.process.wait(AT_ONCE) == 0, one.output
        assert httpx.get(f"{two.url}/readyz", timeout=PATIENCE).status_code == 200
        three.end()
        two.end(signal.SIGTERM)


def test_a_port_in_use_is_reported_in_one_sentence(folder: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        answer = flask(folder, "serve", PORT=port)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"taskapi cannot listen on port {port} of 127.0.0.1: Address already in use."
        " Stop what uses it, or choose another with PORT.\n"
    )


def test_an_unreachable_database_is_reported_in_one_sentence(scratch: Path) -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/none"
    settings = {"DATABASE_URL": url, "JWT_SECRET_KEY": "k" * 32, "PORT": str(free_port())}
    answer = flask(scratch / "none", "serve", **settings)
    assert answer.returncode == 1
    assert answer.stderr.startswith("taskapi cannot reach its database: ")
    assert "Traceback" not in answer.stderr
    assert not (scratch / "none").exists()


def test_an_invalid_setting_is_reported_in_one_sentence(folder: Path) -> None:
    answer = flask(folder, "serve", PORT="eighty")
    assert answer.returncode == 1
    assert answer.stderr == "taskapi cannot start: PORT must be a whole number from 1 to 65535.\n"


def test_malformed_http_returns_a_problem_and_idle_connections_do_not_delay_the_end(
    folder: Path,
) -> None:
    with running(folder) as run, httpx.Client(base_url=run.url, timeout=PATIENCE) as client:
        for request, code in (
            (b"NONSENSE\r\n\r\n", "malformed_request"),
            (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", "uri_too_long"),
        ):
            with socket.create_connection(("127.0.0.1", run.port), timeout=PATIENCE) as raw:
                raw.sendall(request)
                answer = b"".join(iter(lambda: raw.recv(65_536), b"")).decode()
            assert "Content-Type: application/problem+json" in answer
            assert f'"code":"{code}"' in answer
        assert client.get("/livez").status_code == 200
        run.end()


def test_a_worker_refuses_a_database_driver_that_blocks(scratch: Path) -> None:
    settings = {
        "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{free_port()}/none",
        "JWT_SECRET_KEY": databases.KEY,
        "PORT": str(free_port()),
        "PSYCOPG_WAIT_FUNC": "wait_c",  # as if psycopg were imported before gevent's patch
    }
    log = scratch / "blocking.log"
    with log.open("w") as output:
        gunicorn = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app"],
            cwd=ROOT,
            env=environment(scratch / "blocking", **settings),
            stdout=output,
            stderr=output,
        )
    try:
        expected = "psycopg was imported before gevent patched the standard library"
        wait_until(lambda: expected in log.read_text(), "the worker refuses")
    finally:
        gunicorn.terminate()
        assert gunicorn.wait(AT_ONCE) == 0
