"""What those who run the service see of it: metrics, traces, reports of errors; each if asked for.

A worker calls `observe` once it has the application; nothing of all this is loaded otherwise.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from flask import Flask

from config import ConfigError, Settings

if TYPE_CHECKING:
    from taskapi.server.observe.metrics import Metrics


def check(settings: Settings) -> None:
    """See that what the settings ask for is installed.

    Raises:
        ConfigError: it is not; the message says what to do.
    """
    needed = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": (settings.otel_exporter_otlp_endpoint, "opentelemetry"),
        "SENTRY_DSN": (settings.sentry_dsn, "sentry_sdk"),
    }
    for name, (value, package) in needed.items():
        if value and not find_spec(package):
            raise ConfigError(
                f"{name} is set, and what it needs is not installed:"
                " pip install -r requirements-observe.txt"
            )


def forget(pid: int) -> None:
    """Show no level of a worker that has ended."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)


def observe(app: Flask, settings: Settings) -> Metrics | None:
    """Observe the application in this worker, before its first request.

    Returns:
        Its metrics, if they are to be shown.
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

    return metrics.count(app, settings.metrics_port)
