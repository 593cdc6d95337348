"""Declares jobs and queues them, with procrastinate; docs/decisions/0019-jobs.md says why.

The library is used through its documented interface. Its statements run on the connection of the
current transaction, so that a job is queued exactly if that is committed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from inspect import signature
from time import perf_counter
from typing import Any, Generic, ParamSpec

import procrastinate
import psycopg
from flask import Flask
from procrastinate import BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job as Queued

from taskapi.db import database
from taskapi.jobs.wakeup import wake_worker
from taskapi.logs import log_event

P = ParamSpec("P")

APP = "app"
"""The name of the application in the context of a running job."""

PAUSES = (10, 60, 300, 1_800, 7_200, 21_600, 43_200)
"""Seconds before each repetition of a job that failed. After the last one it stays failed."""

MAX_ATTEMPTS = len(PAUSES) + 1

_SPREAD = 0.2
"""The greatest share that is added to a pause, so that jobs do not all repeat at one moment."""

queue = procrastinate.App(
    connector=procrastinate.SyncPsycopgConnector(),
    # A worker that starts late still runs the periodic job of the day.
    periodic_defaults={"max_delay": 86_400},
)


class JobFailed(Exception):
    """A job failed. The message is the type of the error, whose text may contain user data."""


class JobUnknown(Exception):
    """This release has no job of this name."""


class JobRejected(Exception):
    """A handler raises this if to repeat the job would not help. The job stays failed."""


class Job(Generic[P]):
    """A function that a worker runs. Calling it runs it at once.

    Args:
        name: identifies the job in the database, so it must not change.
        handler: the function.
        cron: when the worker queues it by itself; such a handler has no arguments.
    """

    def __init__(self, name: str, handler: Callable[P, None], cron: str | None) -> None:
        self.name = name
        self._handler = handler
        self._signature = signature(handler)
        self._task = queue.task(name=name, retry=_Pauses(), pass_context=True)(self._run)
        if cron:
            queue.periodic(cron=cron)(self._task)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        self._handler(*args, **kwargs)

    def defer(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Queue the job in the current transaction, or in one of its own.

        Raises:
            TypeError: these are not the arguments of the handler.
            Unavailable, OutcomeUnknown, InsufficientStorage: as `database.transaction`.
        """
        arguments = self._signature.bind(*args, **kwargs).arguments
        with database.transaction():
            try:
                task = self._task.configure(connection=database.lent_connection())
                task.defer(**arguments)
            except ConnectorException as error:
                if isinstance(error.__cause__, psycopg.Error):
                    raise error.__cause__ from None
                raise
            database.after_commit(wake_worker)

    def _run(self, context: JobContext, /, timestamp: int = 0, **arguments: Any) -> None:
        """Run in the worker.

        Args:
            timestamp: when a periodic job was due.
        """
        app: Flask = context.additional_context[APP]
        handler: Callable[..., None] = self._handler
        with _Attempt(self.name, context.job), app.app_context():
            handler(**arguments)


def job(name: str, *, cron: str | None = None) -> Callable[[Callable[P, None]], Job[P]]:
    """Declare a function as a job.

    Args:
        name: identifies the job in the database, so it must not change.
        cron: when the worker queues it by itself (in UTC); such a function has no arguments.
    """

    def declare(handler: Callable[P, None]) -> Job[P]:
        return Job(name, handler, cron)

    return declare


class _Attempt:
    """Logs how an attempt of a job ended, and raises errors without their texts."""

    def __init__(self, name: str, queued: Queued) -> None:
        self._fields: dict[str, Any] = {
            "job": name,
            "job_id": queued.id,
            "attempt": queued.attempts + 1,
        }

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        duration = round((perf_counter() - self._started) * 1_000, 2)
        fields = self._fields | {"duration_ms": duration}
        if error is None:
            log_event("job_succeeded", **fields)
        elif isinstance(error, Exception):
            name = type(error).__name__
            log_event("job_failed", error=name, **fields)
            raise (JobRejected if isinstance(error, JobRejected) else JobFailed)(name) from None


class _KnownTasks(dict[str, Any]):
    """The jobs of this release. Others fail and are repeated, perhaps by a worker that knows them.

    During a deployment, a process of the next release may queue a job for a worker of this one.
    """

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, _unknown)


class _Pauses(BaseRetryStrategy):
    """Repeats a job after growing pauses, up to a limit."""

    def get_retry_decision(self, *, exception: BaseException, job: Queued) -> RetryDecision | None:
        if isinstance(exception, JobRejected) or job.attempts >= len(PAUSES):
            return None
        spread = 1 + random.SystemRandom().uniform(0, _SPREAD)
        pause = timedelta(seconds=PAUSES[job.attempts] * spread)
        return RetryDecision(retry_at=datetime.now(UTC) + pause)


@queue.task(name="unknown", retry=_Pauses(), pass_context=True)
def _unknown(context: JobContext, /, **_: Any) -> None:
    log_event("job_unknown", job_id=context.job.id, attempt=context.job.attempts + 1)
    raise JobUnknown


queue.tasks = _KnownTasks(queue.tasks)
