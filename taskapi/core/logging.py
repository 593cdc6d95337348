"""Logs: one line a request and one an event, as JSON or as text, each with the request's id.

Fields are structured and come through `extra`; titles, passwords, tokens and whole addresses of
failed logins are never among them.
"""

from __future__ import annotations

import logging
import random
import re
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import orjson
from flask import Flask, Response, g, has_request_context, request

from config import Settings
from taskapi.core import database

requests = logging.getLogger("taskapi.request")
events = logging.getLogger("taskapi.event")

# Nobody reads from where a line was logged, nor which thread did: to find out costs microseconds.
logging._srcfile = None  # noqa: SLF001 - documented under "Optimization" for this purpose
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def logging_config(settings: Settings) -> dict[str, Any]:
    """The `logging.config.dictConfig` of every process of the service."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": "taskapi.core.logging.JsonFormatter"},
            "text": {"()": "taskapi.core.logging.TextFormatter"},
        },
        "filters": {"request": {"()": "taskapi.core.logging.RequestFilter"}},
        "handlers": {
            "stderr": {
                "class": "taskapi.core.logging.LineHandler",
                "formatter": settings.log_format,
                "filters": ["request"],
            }
        },
        "root": {"handlers": ["stderr"], "level": settings.log_level.upper()},
        "loggers": {"psycopg.pool": {"level": "WARNING"}, "alembic": {"level": "WARNING"}},
    }


class LineHandler(logging.StreamHandler):  # type: ignore[type-arg]  # takes no type when it runs
    """Writes each record in one piece, for which no lock is needed."""

    def handle(self, record: logging.LogRecord) -> bool:
        if self.filter(record):
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(f"{self.format(record)}\n")
            self.flush()
        except Exception:  # noqa: BLE001 - as the standard library's handlers do
            self.handleError(record)


class RequestFilter(logging.Filter):
    """Gives each record the id of the request that it was made in."""

    def filter(self, record: logging.LogRecord) -> bool:
        if has_request_context():
            record.request_id = request_id()
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


def request_id() -> str:
    """This request's id: the client's own X-Request-ID when well-formed, else a new one."""
    known: str | None = g.get("request_id")
    if known is None:
        sent = request.headers.get("X-Request-ID", "")
        known = g.request_id = sent if _WELL_FORMED_ID.fullmatch(sent) else _new_request_id()
    return known


def _new_request_id() -> str:
    # Unique, not secret: to ask the kernel for randomness takes longer than to log the line.
    return f"{random.getrandbits(96):024x}"


def init_app(app: Flask) -> None:
    """Log each request when its answer is known, and send its id back."""

    @app.before_request
    def start_clock() -> None:
        g.started = perf_counter()

    @app.after_request
    def log_request(response: Response) -> Response:
        response.headers["X-Request-ID"] = request_id()
        rule = request.url_rule
        requests.info(
            "request",
            extra={
                "method": request.method,
                "route": rule.rule if rule else None,
                "status": response.status_code,
                "duration_ms": round((perf_counter() - g.started) * 1000, 2),
                "database_ms": round(database.seconds_spent() * 1000, 2),
                "user_id": g.get("user_id"),
            },
        )
        return response
