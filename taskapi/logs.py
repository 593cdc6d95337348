"""Logs: one line a request, and one a warning, as JSON or as text, each with the request's id.

Fields are structured and come through `extra`; titles, passwords, tokens and whole addresses of
failed logins are never among them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import orjson
from flask import Flask, Response, has_request_context

from config import Settings
from taskapi.db import database
from taskapi.http.application import Request, current_request

requests = logging.getLogger("taskapi.request")
events = logging.getLogger("taskapi.event")

# Nobody reads which thread logged a line: to find out costs microseconds.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def logging_config(settings: Settings) -> dict[str, Any]:
    """The `logging.config.dictConfig` of every process of the service."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": "taskapi.logs.JsonFormatter"},
            "text": {"()": "taskapi.logs.TextFormatter"},
        },
        "filters": {"request": {"()": "taskapi.logs.RequestFilter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": settings.log_format,
                "filters": ["request"],
            }
        },
        "root": {"handlers": ["stderr"], "level": settings.log_level.upper()},
        "loggers": {"alembic": {"level": "WARNING"}},
    }


class RequestFilter(logging.Filter):
    """Gives each record the id of the request that it was made in."""

    def filter(self, record: logging.LogRecord) -> bool:
        if "request_id" not in vars(record) and has_request_context():
            record.request_id = current_request().id
        return True


class JsonFormatter(logging.Formatter):
    """For production: one JSON object a line, its time in UTC (RFC 3339)."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


class TextFormatter(logging.Formatter):
    """For development: time, level and message, then the fields as name=value."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:7} {message}", "%H:%M:%S", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:
        said = "".join(f" {name}={value!r}" for name, value in _fields(record).items())
        return super().formatMessage(record) + said


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def log_event(event: str, **fields: Any) -> None:
    """Add an event to the request's log line; outside of a request, log a line of its own.

    What must be logged at any level is a warning with a line of its own.
    """
    if has_request_context():
        current_request().noted |= {"event": event, **fields}
    else:
        events.info(event, extra=fields)


@contextmanager
def without_events() -> Iterator[None]:
    """Log no events outside of requests: for a command that prints itself what it created."""
    level = events.level
    events.setLevel(logging.WARNING)
    try:
        yield
    finally:
        events.setLevel(level)


def init_app(app: Flask) -> None:
    """Log each request when its answer is known."""

    @app.after_request
    def log_request(response: Response) -> Response:
        if requests.isEnabledFor(logging.INFO):
            requests.info("request", extra=_described(current_request(), response))
        return response


def _described(request: Request, response: Response) -> dict[str, Any]:
    return {
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "duration_ms": round((perf_counter() - request.started) * 1000, 2),
        "database_ms": round(database.seconds_spent() * 1000, 2),
        "user_id": request.user_id,
        **request.noted,
        "request_id": request.id,
    }
