"""Use cases of administrators and workers: failed jobs, recovery, figures."""

from __future__ import annotations

from typing import Any

from taskapi.db import database
from taskapi.jobs import queries as statements
from taskapi.jobs.queue import MAX_ATTEMPTS
from taskapi.jobs.wakeup import wake_worker
from taskapi.logs import log_event
from taskapi.problems import NotFound

KEPT_DAYS = 30
"""The days for which failed jobs are kept."""

_DAY = 86_400


def jobs(*, only_failed: bool) -> list[dict[str, Any]]:
    """The newest jobs that wait, run or have failed."""
    statement = statements.some_failed_jobs if only_failed else statements.some_jobs
    rows = database.rows(statement)
    return [dict(zip(statement.columns, row, strict=True)) for row in rows]


def retry(job_id: int) -> None:
    """Run a failed or waiting job as soon as possible, with all its attempts.

    Raises:
        NotFound: there is no such job, or it is running.
    """
    if not database.rows(statements.retry_job, job_id=job_id):
        raise NotFound(f"There is no job {job_id} that has failed or is waiting.")
    _log_retried([job_id])


def retry_all() -> int:
    """Run all jobs whose last attempt failed as soon as possible, and return their number."""
    retried = [job_id for (job_id,) in database.rows(statements.retry_jobs)]
    _log_retried(retried)
    return len(retried)


def delete(job_id: int) -> None:
    """Delete a job that has failed or is waiting.

    Raises:
        NotFound: there is no such job, or it is running.
    """
    if not database.rows(statements.delete_job, job_id=job_id):
        raise NotFound(f"There is no job {job_id} that has failed or is waiting.")
    log_event("job_deleted", job_id=job_id, by="command line")


def purge() -> int:
    """Delete the jobs that failed 30 days ago or earlier, and return their number."""
    return len(database.rows(statements.delete_old_failures, seconds=KEPT_DAYS * _DAY))


def recover(seconds: int) -> None:
    """Queue the jobs of workers again that have not reported for so many seconds."""
    with database.transaction():
        database.rows(statements.lock_recovery)
        recovered = database.rows(
            statements.recover_jobs, seconds=seconds, max_attempts=MAX_ATTEMPTS
        )
        if recovered:
            database.after_commit(wake_worker)
    for (job_id,) in recovered:
        log_event("job_recovered", job_id=job_id)


def figures() -> dict[str, int]:
    """How many jobs are due, scheduled, running and failed, and the age of the oldest due one."""
    found = database.row(statements.figures)
    assert found
    return found


def _log_retried(job_ids: list[int]) -> None:
    for job_id in job_ids:
        log_event("job_retried", job_id=job_id, by="command line")
    if job_ids:
        wake_worker()
