"""Prometheus metrics of all workers, on their own port.

Each worker writes its own files in PROMETHEUS_MULTIPROC_DIR, which must be set before this module
is imported. The worker that is scraped adds them up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic, perf_counter
from typing import Any

import psycopg
from flask import Flask, Response
from gevent import get_hub
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector

from taskapi.auth.passwords import hasher
from taskapi.db.connections import Pool
from taskapi.http.application import Request, current_request
from taskapi.jobs import service
from taskapi.problems import Problem

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of a worker, and the application that exports those of all workers.

    Args:
        port: the port of the metrics.
        poll_seconds: the least time between two queries for the figures of jobs.
    """

    def __init__(self, app: Flask, port: int, poll_seconds: int) -> None:
        self._app = app
        self.port = port
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        self._export = make_wsgi_app(registry)
        self._durations = Histogram(
            "taskapi_request_duration_seconds",
            "Time from the start of a request in the application to its response.",
            ("method", "route", "status"),
            registry=None,
            buckets=_SECONDS,
        )
        self._problems = _counter("problems", "Error responses, by code.", "code")
        self._events = _counter("events", "Events, such as logged_in.", "event")
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._jobs = _Jobs(app, poll_seconds)
        self._sampled = [*_of_pool(app), *_of_passwords(app)]

    def observe(self, request: Request, response: Response) -> None:
        """Count a request and its response."""
        rule = request.url_rule
        name = (request.method, rule.rule if rule else "", response.status_code)
        durations = self._children.get(name) or self._child(name)
        durations.observe(perf_counter() - request.started)
        if "problem" in request.log_fields:
            self._problems.labels(request.log_fields["problem"]).inc()
        if "event" in request.log_fields:
            self._events.labels(request.log_fields["event"]).inc()

    def sample(self) -> None:
        """Update the metrics that the worker counts itself; called about every second."""
        for update in self._sampled:
            update()

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Export all metrics. It runs in a thread, so that no request waits for it."""
        self._jobs.update()
        pool = get_hub().threadpool
        pieces: Iterable[bytes] = pool.apply(self._export, (environ, start_response))
        return pieces

    def _child(self, name: tuple[str, str, int]) -> Histogram:
        method, route, status = name
        known = method if method in _METHODS else "other"
        child: Histogram = self._durations.labels(known, route or "none", status)
        if known == method:  # the others have no end
            self._children[name] = child
        return child


class _Jobs:
    """The figures of the queue, which the worker that is scraped queries."""

    def __init__(self, app: Flask, poll_seconds: int) -> None:
        self._app = app
        self._poll_seconds = poll_seconds
        self._next = 0.0
        most_recent: Any = {"registry": None, "multiprocess_mode": "livemostrecent"}
        self._jobs = Gauge("taskapi_jobs", "Jobs, by state.", ("state",), **most_recent)
        self._age = Gauge(
            "taskapi_jobs_oldest_seconds", "Age of the oldest due job.", **most_recent
        )

    def update(self) -> None:
        """Query the figures, unless they are recent. They stay if the database does not respond."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + self._poll_seconds
        with suppress(Problem, psycopg.Error), self._app.app_context():
            found = service.figures()
            self._age.set(found.pop("oldest_seconds"))
            for state, number in found.items():
                self._jobs.labels(state).set(number)


def count(app: Flask, port: int, poll_seconds: int) -> Metrics:
    """Count the application's requests from here on, to be shown at this port."""
    metrics = Metrics(app, port, poll_seconds)

    @app.after_request
    def observe(response: Response) -> Response:
        metrics.observe(current_request(), response)
        return response

    return metrics


def _counter(name: str, about: str, *labels: str) -> Counter:
    return Counter(f"taskapi_{name}", about, labels, registry=None)


def _total(name: str, about: str, read: Callable[[], float]) -> Callable[[], None]:
    """A function that updates a counter from a total."""
    counter, before = _counter(name, about), 0.0

    def update() -> None:
        nonlocal before
        total = read()
        counter.inc(total - before)
        before = total

    return update


def _level(name: str, about: str, read: Callable[[], float]) -> Callable[[], None]:
    """A function that updates a gauge. The sum over the running workers is exported."""
    gauge = Gauge(f"taskapi_{name}", about, registry=None, multiprocess_mode="livesum")
    return lambda: gauge.set(read())


def _of_pool(app: Flask) -> list[Callable[[], None]]:
    pool: Pool = app.extensions["taskapi_pool"]
    return [
        _level("database_connections", "Database connections.", lambda: pool.size),
        _level("database_connections_in_use", "Database connections in use.", lambda: pool.in_use),
        _level("database_waiting", "Requests that wait for a connection.", lambda: pool.waiting),
        _total("database_waits", "Requests that waited for a connection.", lambda: pool.waits),
        _total("database_wait_seconds", "Time of these waits.", lambda: pool.waited_seconds),
        _total("database_round_trips", "Round trips to the database.", lambda: pool.round_trips),
    ]


def _of_passwords(app: Flask) -> list[Callable[[], None]]:
    found = hasher(app)
    return [
        _level("password_waiting", "Requests that wait for bcrypt.", lambda: found.waiting),
        _total("password_hashes", "Hashed passwords.", lambda: found.hashes),
        _total("password_hash_seconds", "Time spent on hashing.", lambda: found.hash_seconds),
    ]
