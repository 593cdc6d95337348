"""`flask jobs` and `flask worker`, as administrators use them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from flask import Flask
from support import jobs
from support.jobs import lines, rows, started, until, working
from support.revisions import flask

pytestmark = pytest.mark.processes


def _fail(url: str, queueing: Flask, file: Path) -> int:
    """The ID of a job that has failed."""
    jobs.reject.defer(file=str(file))
    with working(url):
        until(lambda: _states(url) == ["failed"])
    return int(rows(url, f"SELECT id FROM procrastinate_jobs WHERE {_OURS}")[0][0])


_OURS = "starts_with(task_name, 'test')"


def _states(url: str) -> list[str]:
    found = rows(url, f"SELECT status::text FROM procrastinate_jobs WHERE {_OURS} ORDER BY id")
    return [state for (state,) in found]


def _run(url: str, *command: str) -> str:
    status, output = flask(url, "jobs", *command)
    assert status == 0, output
    return output


def test_a_failed_job_is_listed_and_runs_again(url: str, queueing: Flask, file: Path) -> None:
    job_id = _fail(url, queueing, file)
    listed = _run(url, "list", "--failed")
    assert re.search(rf"^ +{job_id}  failed +1  .* test_reject {{\"file\"", listed, re.MULTILINE)
    assert f"Queued job {job_id} again." in _run(url, "retry", str(job_id))
    assert "test_reject" not in _run(url, "list", "--failed")
    assert re.search(rf"^ +{job_id}  waiting +0 ", _run(url, "list"), re.MULTILINE)
    with working(url):
        until(lambda: _states(url) == ["failed"])
    assert lines(file) == ["attempt", "attempt"]


def test_all_failed_jobs_run_again(url: str, queueing: Flask, file: Path) -> None:
    _fail(url, queueing, file)
    for _ in range(2):
        jobs.append.defer(file=str(file), line="done")
    last = f"SELECT max(id) FROM procrastinate_jobs WHERE {_OURS}"
    failed_once = "SET attempts = 1, scheduled_at = now() + interval '1 day'"
    rows(url, f"UPDATE procrastinate_jobs {failed_once} WHERE id = ({last})")
    assert "Queued 2 jobs again." in _run(url, "retry", "--all")
    assert _states(url) == ["todo"] * 3
    waiting = f"SELECT id FROM procrastinate_jobs WHERE {_OURS} AND scheduled_at > now()"
    assert rows(url, waiting) == []


def test_a_job_that_waits_for_its_next_attempt_is_due_at_once(
    url: str, queueing: Flask, file: Path
) -> None:
    jobs.append.defer(file=str(file), line="done")
    rows(
        url,
        "UPDATE procrastinate_jobs SET attempts = 3, scheduled_at = now() + interval '1 day'",
    )
    assert re.search(r"^ +(\d+)  retrying +3 ", _run(url, "list"), re.MULTILINE)
    ((job_id,),) = rows(url, "SELECT id FROM procrastinate_jobs")
    _run(url, "retry", str(job_id))
    with working(url):
        until(lambda: lines(file) == ["done"])


def test_a_job_is_deleted(url: str, queueing: Flask, file: Path) -> None:
    job_id = _fail(url, queueing, file)
    assert f"Deleted job {job_id}." in _run(url, "delete", str(job_id))
    assert _states(url) == []


def test_what_cannot_be_done_is_one_sentence(url: str) -> None:
    for command in ("retry", "delete"):
        status, output = flask(url, "jobs", command, "7")
        assert status == 1
        assert output.splitlines() == ["Error: There is no job 7 that has failed or is waiting."]
    status, output = flask(url, "jobs", "retry")
    assert status == 2
    assert "Specify the ID of a job, or --all." in output


def test_a_running_job_is_neither_retried_nor_deleted(
    url: str, queueing: Flask, file: Path
) -> None:
    jobs.slow.defer(file=str(file), seconds=3)
    ((job_id,),) = rows(url, "SELECT id FROM procrastinate_jobs")
    with working(url):
        until(lambda: lines(file) == ["begins"])
        for command in ("retry", "delete"):
            assert flask(url, "jobs", command, str(job_id))[0] == 1
        until(lambda: _states(url) == [])
    assert lines(file) == ["begins", "ends"]


def test_the_status_counts_jobs(url: str, queueing: Flask, file: Path) -> None:
    jobs.append.defer(file=str(file), line="done")
    numbers = dict(re.findall(r"^([\w ]+): +(\d+)$", _run(url, "status"), re.MULTILINE))
    assert (numbers["due"], numbers["failed"]) == ("1", "0")


def test_the_worker_purges_once_a_day(url: str) -> None:
    rows(
        url,
        "INSERT INTO rate_limits (key, count, expires_at)"
        " VALUES ('old', 1, now() - interval '1 day')",
    )
    command = [sys.executable, "-m", "flask", "worker"]
    with started(command, url) as worker:
        until(lambda: rows(url, "SELECT key FROM rate_limits") == [])
        until(lambda: '"message":"purged"' in worker.log.read_text())
        assert worker.stop() == 0
    with started(command, url) as worker:
        until(lambda: rows(url, "SELECT id FROM procrastinate_workers"))
        assert worker.stop() == 0
        assert '"message":"purged"' not in worker.log.read_text()


def test_old_failures_are_purged(url: str, queueing: Flask, file: Path) -> None:
    _fail(url, queueing, file)
    rows(url, "UPDATE procrastinate_events SET at = now() - interval '29 days'")
    assert flask(url, "purge")[0] == 0
    assert _states(url) == ["failed"]
    rows(url, "UPDATE procrastinate_events SET at = now() - interval '31 days'")
    status, output = flask(url, "purge")
    assert status == 0
    assert "1 jobs that failed thirty days ago or more" in output
    assert _states(url) == []
