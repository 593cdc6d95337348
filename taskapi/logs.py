"""Logs: one line for each request and each warning, as JSON or text, with the request's ID.

Fields are structured and passed by `extra`. They never contain titles, passwords, tokens or the
email addresses of failed logins.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import MemoryHandler
from time import perf_counter
from typing import Any, TextIO

import orjson
from flask import Flask, Response, has_request_context

from config import Settings
from taskapi.db import database
from taskapi.http.application import Request, current_request

requests = logging.getLogger("taskapi.request")
events = logging.getLogger("taskapi.event")

# Saves microseconds for fields that are not logged.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

_HELD_RECORDS = 1_000
"""A command with more of them writes these first."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def logging_config(settings: Settings) -> dict[str, Any]:
    """The argument of `logging.config.dictConfig` for all processes of the service."""
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
                "class": "taskapi.logs.LineHandler",
                "formatter": settings.log_format,
                "filters": ["request"],
            }
        },
        "root": {"handlers": ["stderr"], "level": settings.log_level.upper()},
        "loggers": {
            "alembic": {"level": "WARNING"},
            # Their lines contain arguments of jobs, and errors with values.
            "procrastinate": {"level": "CRITICAL"},
            "psycopg.pool": {"level": "CRITICAL"},
        },
    }


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes each record in one piece, which needs no lock; gevent's cost 5 µs per request."""

    def handle(self, record: logging.LogRecord) -> bool:
        if self.filter(record):
            self.emit(record)
        return True

    def flush(self) -> None:
        self.stream.flush()


class RequestFilter(logging.Filter):
    """Adds the request's ID to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        if "request_id" not in vars(record) and has_request_context():
            record.request_id = current_request().id
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object per line, with the time in UTC (RFC 3339), for production."""

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
    """Time, level, message and the fields as name=value, for development."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:7} {message}", "%H:%M:%S", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value!r}" for name, value in _fields(record).items())
        return super().formatMessage(record) + fields


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were passed as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def log_event(event: str, **fields: Any) -> None:
    """Add an event to the request's log line. Outside of a request, log a separate line."""
    if has_request_context():
        current_request().log_fields |= {"event": event, **fields}
    else:
        events.info(event, extra=fields)


@contextmanager
def held() -> Iterator[None]:
    """Write log lines when the block ends, for commands that print their results."""
    root = logging.getLogger()
    handlers = [handler for handler in root.handlers if isinstance(handler, LineHandler)]
    holders = [MemoryHandler(_HELD_RECORDS, logging.CRITICAL, handler) for handler in handlers]
    try:
        for handler, holder in zip(handlers, holders, strict=True):
            root.removeHandler(handler)
            root.addHandler(holder)
        yield
    finally:
        for handler, holder in zip(handlers, holders, strict=True):
            root.removeHandler(holder)
            holder.close()
            root.addHandler(handler)


@contextmanager
def without_events() -> Iterator[None]:
    """Log no events outside of requests, for commands that print their results."""
    level = events.level
    events.setLevel(logging.WARNING)
    try:
        yield
    finally:
        events.setLevel(level)


def init_app(app: Flask) -> None:
    """Log each request."""

    @app.after_request
    def log_request(response: Response) -> Response:
        if requests.isEnabledFor(logging.INFO):
            requests.handle(logging.makeLogRecord(_request_line(current_request(), response)))
        return response


def _request_line(request: Request, response: Response) -> dict[str, Any]:
    """The attributes of the record. `info` would also look up where it was called from."""
    return {
        "name": requests.name,
        "levelno": logging.INFO,
        "levelname": "INFO",
        "msg": "request",
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "duration_ms": round((perf_counter() - request.started) * 1000, 2),
        "database_ms": round(database.seconds_spent() * 1000, 2),
        "user_id": request.user_id,
        **request.log_fields,
        "request_id": request.id,
    }
