"""The worker process: runs jobs until a signal ends it.

It is an asyncio program, in which each job runs in a thread. gunicorn's workers, which use gevent,
only queue jobs.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import traceback
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from typing import Any

import psycopg
from flask import Flask
from procrastinate import App, BaseConnector, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition
from procrastinate.worker import Worker

from config import Settings
from taskapi.jobs import service
from taskapi.jobs.queue import APP, queue
from taskapi.jobs.wakeup import address_of, receiver
from taskapi.problems import Problem

CONCURRENCY = 4
"""The jobs that a worker runs at a time. They mostly wait for the mail server."""

HEARTBEAT_SECONDS = 30
"""How often a worker reports that it runs, unless it polls less often."""

MISSED_HEARTBEATS = 4
"""A worker that has missed so many is considered dead, and its jobs run again."""

_STOP_SECONDS = 20
"""The time in which running jobs can end after a signal. Platforms kill the process after 30."""

_RESTART_SECONDS = 5
"""The pause after an error of the database."""

_IDLE_SECONDS = 60

_AGAIN_SECONDS = 0.5
"""The pause between the two notifications of a signal. Looking for jobs takes less."""

_JOB_INSERTED = '{"type": "job_inserted", "job_id": 0}'
_DATABASE_ERRORS = (ConnectorException, psycopg.Error, Problem)

_log = logging.getLogger("taskapi.worker")


class _Connector(PsycopgConnector):
    """Connects to the database; receives signals from this machine in place of NOTIFY.

    A session that listens would need a connection without a pooler, and would keep a database awake
    that sleeps when it is idle.
    """

    signals: socket.socket | None = None

    def get_sync_connector(self) -> BaseConnector:
        """For jobs that queue others, on the connections of the application."""
        return SyncPsycopgConnector()

    async def listen_notify(self, on_notification: Any, channels: Iterable[str]) -> None:
        if self.signals is None:
            await asyncio.Event().wait()
            return
        while True:
            await asyncio.get_running_loop().sock_recv(self.signals, 1)
            await on_notification(channel="", payload=_JOB_INSERTED)
            # Again: procrastinate forgets a notification that arrives while it looks for jobs.
            await asyncio.sleep(_AGAIN_SECONDS)
            await on_notification(channel="", payload=_JOB_INSERTED)


def run(app: Flask, settings: Settings) -> None:
    """Run jobs until SIGTERM or SIGINT. Then running jobs may end, and no others start."""
    asyncio.run(_Worker(app, settings).run())


def _report(error: Exception) -> None:
    """Log an error without its text, which may contain values."""
    fields = {"error": type(error).__name__}
    if isinstance(error, _DATABASE_ERRORS):
        _log.warning("worker_failed", extra=fields)
        return
    fields["trace"] = "".join(traceback.format_tb(error.__traceback__))
    _log.error("worker_failed", extra=fields)


def _report_unexpected(_loop: object, context: dict[str, Any]) -> None:
    """Log an error of a task that nothing waits for."""
    error = context.get("exception")
    if isinstance(error, Exception):
        _report(error)


async def _serve(served: App, worker: Worker) -> None:
    async with served.open_async():
        await worker.run()


class _Worker:
    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._poll = settings.jobs_poll_seconds
        self._heartbeat = max(HEARTBEAT_SECONDS, self._poll)

    async def run(self) -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(_report_unexpected)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        if not self._settings.mail_url:
            folder = self._settings.taskapi_data_dir / "mail"
            _log.warning("mail_not_configured", extra={"folder": str(folder)})
        _log.info("worker_started", extra={"poll_seconds": self._poll})
        while not ended.is_set():
            await self._run_until(ended)
            if not ended.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _RESTART_SECONDS)
        _log.info("worker_ended")

    async def _run_until(self, ended: asyncio.Event) -> None:
        """Run jobs until the event, or until an error of the database."""
        connector = self._connector()
        with connector.signals or nullcontext(), queue.replace_connector(connector) as served:
            worker = self._worker(served)
            coroutines = (_serve(served, worker), self._recover(), ended.wait())
            tasks = [asyncio.create_task(one) for one in coroutines]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # A cancellation that arrives together with a connection of the pool is lost, because
            # of wait_for() before Python 3.12. The worker then ends by stop().
            worker.stop()
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    _report(outcome)

    def _connector(self) -> _Connector:
        connector = _Connector(
            conninfo=self._settings.database_url or "",
            min_size=0,
            max_size=2,
            max_idle=_IDLE_SECONDS,
            kwargs={"application_name": "taskapi-worker", "prepare_threshold": None},
        )
        # Before the worker looks for jobs, so that it misses no signal of a later one.
        connector.signals = receiver(address_of(self._settings))
        return connector

    def _worker(self, served: App) -> Worker:
        return Worker(
            served,
            concurrency=CONCURRENCY,
            fetch_job_polling_interval=self._poll,
            abort_job_polling_interval=self._heartbeat,
            update_heartbeat_interval=self._heartbeat,
            stalled_worker_timeout=self._heartbeat * MISSED_HEARTBEATS,
            shutdown_graceful_timeout=_STOP_SECONDS,
            delete_jobs=DeleteJobCondition.SUCCESSFUL,
            additional_context={APP: self._app},
            install_signal_handlers=False,
        )

    async def _recover(self) -> None:
        """Queue the jobs of dead workers again, from time to time."""
        while True:
            await asyncio.to_thread(self._recover_once)
            await asyncio.sleep(self._heartbeat)

    def _recover_once(self) -> None:
        with self._app.app_context():
            service.recover(self._heartbeat * MISSED_HEARTBEATS)
