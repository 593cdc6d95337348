"""SQL of the queue that the library has no function for: what administrators see, and recovery."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    extract,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.types import Interval

from taskapi.db.statement import Statement
from taskapi.extensions import table_of
from taskapi.jobs.models import JobEvent, JobWorker, QueuedJob

_jobs = table_of(QueuedJob)
_workers = table_of(JobWorker)
_events = table_of(JobEvent)

_MOST = 1_000
"""The jobs that are listed at a time."""

_job_id = bindparam("job_id", type_=BigInteger)
_seconds = bindparam("seconds", type_=BigInteger) * literal_column("interval '1 second'", Interval)


def _is(status: str) -> ColumnElement[bool]:
    return _jobs.c.status == literal_column(f"'{status}'")


_changed_at = select(func.max(_events.c.at)).where(_events.c.job_id == _jobs.c.id).scalar_subquery()
_state = case(
    (_is("doing"), "running"),
    (_is("failed"), "failed"),
    (_jobs.c.attempts > 0, "retrying"),
    else_="waiting",
)
_unfinished = or_(_is("todo"), _is("doing"), _is("failed"))


def _listed() -> Select[tuple[int, str, str, str, int, object, object]]:
    return select(
        _jobs.c.id,
        cast(_state, Text).label("state"),
        _jobs.c.task_name,
        cast(_jobs.c.args, Text).label("arguments"),
        _jobs.c.attempts,
        _changed_at.label("changed_at"),
        _jobs.c.scheduled_at,
    )


some_jobs = Statement(_listed().where(_unfinished).order_by(_jobs.c.id.desc()).limit(_MOST))
some_failed_jobs = Statement(
    _listed().where(_is("failed")).order_by(_jobs.c.id.desc()).limit(_MOST)
)
"""The newest ones."""

_again = {
    "status": literal_column("'todo'"),
    "attempts": 0,
    "scheduled_at": null(),
    "worker_id": null(),
}


def _repeat(which: ColumnElement[bool]) -> Statement:
    clause = update(_jobs).where(which).values(**_again).returning(_jobs.c.id)
    return Statement(clause, writes=True)


retry_job = _repeat(and_(_jobs.c.id == _job_id, or_(_is("failed"), _is("todo"))))
"""Makes a job due at once, with all its attempts, unless it is running."""

retry_jobs = _repeat(or_(_is("failed"), and_(_is("todo"), _jobs.c.attempts > 0)))
"""The same for all jobs that have failed, or wait after a failed attempt."""

delete_job = Statement(
    delete(_jobs).where(_jobs.c.id == _job_id, ~_is("doing")).returning(_jobs.c.id), writes=True
)
delete_old_failures = Statement(
    delete(_jobs)
    .where(
        or_(_is("failed"), _is("cancelled"), _is("aborted")), _changed_at < func.now() - _seconds
    )
    .returning(_jobs.c.id),
    writes=True,
)

_is_due = and_(_is("todo"), or_(_jobs.c.scheduled_at.is_(None), _jobs.c.scheduled_at <= func.now()))

_first_new = (
    select(func.min(_jobs.c.id))
    .where(_is("todo"), _jobs.c.scheduled_at.is_(None))
    .scalar_subquery()
)
_oldest_new = select(func.min(_events.c.at)).where(_events.c.job_id == _first_new).scalar_subquery()
_oldest_due = func.min(_jobs.c.scheduled_at).filter(_is_due)

figures = Statement(
    select(
        func.count().filter(_is_due).label("due"),
        func.count().filter(_is("todo"), _jobs.c.scheduled_at > func.now()).label("scheduled"),
        func.count().filter(_is("doing")).label("running"),
        func.count().filter(_is("failed")).label("failed"),
        func.coalesce(
            cast(extract("epoch", func.now() - func.least(_oldest_new, _oldest_due)), BigInteger), 0
        ).label("oldest_seconds"),
    ).select_from(_jobs)
)

lock_recovery = Statement(
    select(cast(func.pg_advisory_xact_lock(7_283_461_906), Text)), writes=True
)
"""One recovery at a time, so that each sees the workers that those before it have seen."""

_max_attempts = bindparam("max_attempts", type_=Integer)
_is_lost = and_(
    _is("doing"),
    ~exists().where(
        _workers.c.id == _jobs.c.worker_id, _workers.c.last_heartbeat >= func.now() - _seconds
    ),
)

recover_jobs = Statement(
    update(_jobs)
    .where(_is_lost)
    .values(
        status=case(
            (
                _jobs.c.attempts + 1 < _max_attempts,
                literal_column("'todo'::procrastinate_job_status"),
            ),
            else_=literal_column("'failed'::procrastinate_job_status"),
        ),
        attempts=_jobs.c.attempts + 1,
        worker_id=null(),
    )
    .returning(_jobs.c.id),
    writes=True,
)
"""Queues the jobs again whose worker has not reported for some seconds."""
