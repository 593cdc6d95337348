"""OpenTelemetry traces: a span for each request and each statement.

The SDK reads its own environment variables, such as OTEL_SERVICE_NAME and OTEL_TRACES_SAMPLER.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
        pool.trace = partial(_traced, tracer)

    @app.after_request
    def name_trace(response: Response) -> Response:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            current_request().log_fields["trace_id"] = trace.format_trace_id(context.trace_id)
        return response


@contextmanager
def _traced(tracer: Tracer, sql: bytes) -> Iterator[None]:
    """Trace a statement: its SQL, without values."""
    text = sql.decode()
    # Error messages may contain values.
    with tracer.start_as_current_span(
        _summary(text),
        kind=SpanKind.CLIENT,
        attributes={"db.system.name": "postgresql", "db.query.text": text},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except psycopg.Error as error:
            span.set_status(Status(StatusCode.ERROR))
            span.set_attribute("error.type", error.sqlstate or type(error).__name__)
            raise


def _summary(sql: str) -> str:
    """The first write of a statement, other than that of the workspace's version, or SELECT."""
    writes = [f"{verb.partition(' ')[0]} {table}" for verb, table in _WRITE.findall(sql)]
    writes.sort(key="UPDATE workspaces".__eq__)
    return writes[0] if writes else "SELECT"
