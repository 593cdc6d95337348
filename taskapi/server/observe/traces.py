"""OpenTelemetry traces: a span for each request and each statement.

The SDK reads its own environment variables, such as OTEL_SERVICE_NAME and OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
from flask import Flask, Response
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from taskapi.db.database import pools
from taskapi.http.application import current_request
from taskapi.runtime.connection import Connection, Row

_UNTRACED = "livez,readyz"
_WRITE = re.compile(r"\b(INSERT INTO|DELETE FROM|(?<!KEY )UPDATE) (\w+)")


def send(app: Flask) -> None:
    """Trace requests."""
    named = Resource(
        {"service.name": "taskapi", "service.version": app.extensions["taskapi_version"]}
    )
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    instrumentor: Any = FlaskInstrumentor()
    instrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=_UNTRACED)
    tracer = provider.get_tracer("taskapi")
    for pool in pools(app):
        pool.connection_class = _traced(pool.connection_class, tracer)

    @app.after_request
    def name_trace(response: Response) -> Response:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            current_request().log_fields["trace_id"] = trace.format_trace_id(context.trace_id)
        return response


def _traced(plain: type[Connection], tracer: Tracer) -> type[Connection]:
    """The class, extended to trace statements: their SQL, without values."""

    class TracedConnection(plain):  # type: ignore[misc, valid-type]  # one of two classes
        def run(self, sql: bytes, *args: Any, **options: Any) -> list[Row]:
            text = sql.decode()
            about = {"db.system.name": "postgresql", "db.query.text": text}
            # Error messages may contain values.
            with tracer.start_as_current_span(
                _summary(text),
                kind=SpanKind.CLIENT,
                attributes=about,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                try:
                    rows: list[Row] = super().run(sql, *args, **options)
                except psycopg.Error as error:
                    span.set_status(Status(StatusCode.ERROR))
                    span.set_attribute("error.type", error.sqlstate or type(error).__name__)
                    raise
                return rows

    return TracedConnection


def _summary(sql: str) -> str:
    """The first write of a statement, other than that of the workspace's version, or SELECT."""
    writes = [f"{verb.partition(' ')[0]} {table}" for verb, table in _WRITE.findall(sql)]
    writes.sort(key="UPDATE workspaces".__eq__)
    return writes[0] if writes else "SELECT"
