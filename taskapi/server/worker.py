"""The gunicorn worker: the application, metrics, and responses to malformed requests."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import gevent

from config import Settings
from taskapi.http.origins import cors_headers, origin_patterns
from taskapi.runtime.connection import raise_if_blocking
from taskapi.runtime.worker import ClientWorker
from taskapi.server.observe import observe
from taskapi.server.operate.timeouts import warn_without_timeouts
from taskapi.server.refusals import problem_of, raw_problem_response


class Worker(ClientWorker):
    """Serves the application, and metrics on their own port."""

    settings: Settings

    def prepare(self) -> None:
        raise_if_blocking()
        served: Any = self.wsgi
        self._metrics = observe(served, self.settings)
        if self.age == 1:  # the first worker since the start
            gevent.spawn(warn_without_timeouts, self.settings)

    def tick(self) -> None:
        if self._metrics:
            self._metrics.sample()

    def application(self, address: Any) -> Any:
        if self._metrics and address[1] == self._metrics.port:
            return self._metrics.wsgi
        return self.wsgi

    def error_response(
        self, error: BaseException, address: Any, origin: Callable[[], str]
    ) -> bytes:
        """The problem response. The type and traceback of the error are logged.

        The error's text, which gunicorn would log, may contain tokens or passwords.
        """
        problem = problem_of(error)
        request_id = secrets.token_hex(12)
        fields = {"error": type(error).__name__, "address": address[0] if address else None}
        fields["request_id"] = request_id
        if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.warning("request_refused", extra=fields)
        else:
            fields["trace"] = "".join(traceback.format_tb(error.__traceback__))
            self.log.error("failed", extra=fields)
        allowed = origin_patterns(self.settings.cors_origins)
        headers = cors_headers(origin(), allowed) if allowed else {}
        return raw_problem_response(problem, request_id, headers)
