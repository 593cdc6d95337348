"""Metrics, traces and error reports. Each is imported only if its setting is set."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from flask import Flask

from config import ConfigError, Settings

if TYPE_CHECKING:
    from taskapi.server.observe.metrics import Metrics


def check(settings: Settings) -> None:
    """Check that the packages for these settings are installed.

    Raises:
        ConfigError: they are not.
    """
    required = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": (settings.otel_exporter_otlp_endpoint, "opentelemetry"),
        "SENTRY_DSN": (settings.sentry_dsn, "sentry_sdk"),
    }
    for name, (value, package) in required.items():
        if value and not find_spec(package):
            raise ConfigError(
                f"{name} requires packages that are not installed. Run:"
                " pip install -r requirements-observe.txt"
            )


def forget(pid: int) -> None:
    """Remove the gauges of a worker that has ended."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)


def observe(app: Flask, settings: Settings) -> Metrics | None:
    """Observe the application in this worker, before its first request.

    Returns:
        Its metrics, if METRICS_PORT is set.
    """
    if settings.sentry_dsn:
        from taskapi.server.observe import reports

        reports.send(app, settings.sentry_dsn)
    if settings.otel_exporter_otlp_endpoint:
        from taskapi.server.observe import traces

        traces.send(app)
    if not settings.metrics_port:
        return None
    from taskapi.server.observe import metrics

    return metrics.count(app, settings.metrics_port, settings.jobs_poll_seconds)
