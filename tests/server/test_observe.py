"""Traces and error reports: their content, and what they must not contain."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.databases import KEY
from support.receiver import Receiver, receiving
from support.servers import ROOT, serving
from support.writers import person

pytestmark = pytest.mark.processes

SECRET = "canary-of-a-title"


@pytest.fixture(scope="module")
def collector() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def url(database_url: str, collector: Receiver) -> Iterator[str]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "SENTRY_DSN": f"http://public@{collector.address}/1",
    }
    with serving(database_url, **settings) as service:
        yield service


def _spans(content: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(content)
    (resource,) = request.resource_spans
    assert "taskapi" in [a.value.string_value for a in resource.resource.attributes]
    return [span for scope in resource.scope_spans for span in scope.spans]


def _attributes(span: Span) -> dict[str, object]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_request_and_its_statement_are_spans(url: str, collector: Receiver) -> None:
    parent = "0af7651916cd43dd8448eb211c80319c"
    with person(url) as client:
        headers = {"traceparent": f"00-{parent}-b7ad6b7169203331-01"}
        client.post("/tasks", json={"title": SECRET}, headers=headers).raise_for_status()
    content = collector.first(bytes.fromhex(parent))
    assert SECRET.encode() not in content
    spans = [span for span in _spans(content) if span.trace_id.hex() == parent]
    statement, request = sorted(spans, key=lambda span: span.kind, reverse=True)
    assert (request.kind, request.name) == (Span.SPAN_KIND_SERVER, "POST /tasks")
    assert _attributes(request)["http.status_code"] == 201
    assert (statement.kind, statement.name) == (Span.SPAN_KIND_CLIENT, "INSERT tasks")
    assert statement.parent_span_id == request.span_id
    assert "INSERT INTO tasks" in str(_attributes(statement)["db.query.text"])
    assert "$1" in str(_attributes(statement)["db.query.text"])


def test_the_name_of_a_span_is_the_write_of_its_statement(url: str, collector: Receiver) -> None:
    parent = "1bf7651916cd43dd8448eb211c80319c"
    with person(url) as client:
        task = client.post("/tasks", json={"title": "New"}).json()
        headers = {"traceparent": f"00-{parent}-b7ad6b7169203331-01"}
        for body in ({"title": "Newer"}, {"is_completed": True}):
            client.patch(f"/tasks/{task['id']}", json=body, headers=headers).raise_for_status()
        client.delete(f"/tasks/{task['id']}", headers=headers).raise_for_status()
    content = collector.first(bytes.fromhex(parent))
    spans = [span for span in _spans(content) if span.trace_id.hex() == parent]
    names = {span.name for span in spans if span.kind == Span.SPAN_KIND_CLIENT}
    assert names <= {"UPDATE tasks", "DELETE tasks"}
    assert "UPDATE tasks" in names


def test_an_unexpected_error_is_reported_without_user_data(
    url: str, collector: Receiver, database_url: str
) -> None:
    rule = f"title <> '{SECRET}'"
    with person(url) as client, psycopg.connect(database_url, autocommit=True) as database:
        database.execute(f"ALTER TABLE tasks ADD CONSTRAINT surprise CHECK ({rule}) NOT VALID")
        try:
            failed = client.post("/tasks?", json={"title": SECRET})
        finally:
            database.execute("ALTER TABLE tasks DROP CONSTRAINT surprise")
        token = client.headers["Authorization"].removeprefix("Bearer ")
    assert failed.status_code == 500
    report = collector.first(b'"exception"')
    assert b"CheckViolation" in report
    assert re.search(rb'"function":\s*"create_task"', report)
    for secret in (SECRET, token, token.split(".")[1]):
        assert secret.encode() not in report


@pytest.mark.parametrize("setting", ["OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"])
def test_a_missing_package_is_reported_before_the_start(setting: str) -> None:
    code = (
        "import sys; sys.modules.update(opentelemetry=None, sentry_sdk=None);"
        "from gunicorn.app.wsgiapp import run; sys.argv = ['gunicorn', 'wsgi:app']; run()"
    )
    settings = {"DATABASE_URL": "postgresql:///x", "JWT_SECRET_KEY": KEY, setting: "http://a@b/1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert f"taskapi cannot start: {setting} requires packages" in done.stderr
    assert "pip install -r requirements-observe.txt" in done.stderr
