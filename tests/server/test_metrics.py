"""Prometheus metrics of all workers on a separate port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import databases, jobs, world
from support.servers import ROOT, Service, free_port, started
from support.writers import person

pytestmark = pytest.mark.processes

_PATIENCE = 10


class Metrics:
    """The metrics of a service, and their directory."""

    def __init__(self, service: Service, port: int) -> None:
        self.service = service
        self.url = f"http://127.0.0.1:{port}/metrics"

    def value(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        families = text_string_to_metric_families(httpx.get(self.url).text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"taskapi_{name}" and labels.items() <= sample.labels.items()
        )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def metrics(database_url: str) -> Iterator[Metrics]:
    port = free_port()
    with started(database_url, METRICS_PORT=str(port)) as service:
        yield Metrics(service, port)


def test_requests_are_counted_by_route_and_status_over_all_workers(metrics: Metrics) -> None:
    url = metrics.service.url
    for _ in range(20):  # each on a new connection, so that both workers get some
        assert httpx.get(f"{url}/tasks/7").status_code == 401
    labels = {"method": "GET", "route": "/tasks/<id:task_id>", "status": "401"}
    assert metrics.value("request_duration_seconds_count", **labels) == 20
    assert metrics.value("request_duration_seconds_bucket", le="+Inf", **labels) == 20
    assert 0 < metrics.value("request_duration_seconds_sum", **labels) < 20
    assert metrics.value("problems_total", code="authentication_required") == 20


def test_counters_of_workers_are_updated(metrics: Metrics) -> None:
    with person(metrics.service.url) as client:
        client.post("/tasks", json={"title": "Counted"}).raise_for_status()
        assert metrics.value("events_total", event="registered") == 1
        assert metrics.value("events_total", event="task_created") == 1
        # Each worker updates its values once a second.
        until(lambda: metrics.value("password_hashes_total") == 1)
        until(lambda: metrics.value("password_hash_seconds_total") > 0)
        until(lambda: metrics.value("database_round_trips_total") >= 2)
        until(lambda: 1 <= metrics.value("database_connections") <= 16)
        for level in ("database_connections_in_use", "database_waiting", "password_waiting"):
            until(lambda level=level: metrics.value(level) == 0)


def test_names_from_clients_are_not_used_as_labels(metrics: Metrics) -> None:
    url = metrics.service.url
    for n in range(3):
        httpx.request(f"INVENTED{n}", f"{url}/invented/{n}")
    labels = {"method": "other", "route": "none", "status": "404"}
    assert metrics.value("request_duration_seconds_count", **labels) == 3
    assert "INVENTED" not in httpx.get(metrics.url).text.upper()


def test_metrics_are_not_public(metrics: Metrics) -> None:
    assert httpx.get(f"{metrics.service.url}/metrics").status_code == 404
    assert httpx.get(metrics.url.replace("/metrics", "/tasks")).text.startswith("# HELP taskapi_")


@pytest.mark.parametrize("change", [signal.SIGKILL, signal.SIGHUP])
def test_counters_survive_their_worker_and_gauges_do_not(metrics: Metrics, change: int) -> None:
    with person(metrics.service.url) as client:
        client.get("/tasks").raise_for_status()
    labels = {"route": "/auth/register"}
    before = metrics.value("request_duration_seconds_count", **labels)
    assert before > 0
    old = metrics.service.workers()
    if change == signal.SIGKILL:
        for pid in old:
            os.kill(pid, change)
    else:
        metrics.service.process.send_signal(change)
    until(lambda: len(set(metrics.service.workers()) - set(old)) == 2)
    until(lambda: metrics.value("database_connections") == 0)
    assert metrics.value("request_duration_seconds_count", **labels) == before


def test_the_figures_of_jobs_are_exported(
    server_url: str, template: str, worker_id: str, tmp_path: Path
) -> None:
    url = databases.create(server_url, f"metrics_of_jobs_{worker_id}", template)
    with world.worker(databases.settings_for(url)) as app, app.app_context():
        for _ in range(2):
            jobs.append.defer(file=str(tmp_path / "file"), line="never")
    world.sql(
        databases.settings_for(url),
        "UPDATE procrastinate_events SET at = now() - interval '1 hour';"
        "INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
        " VALUES ('default', 'test_append', 'failed')",
    )
    port = free_port()
    with started(url, METRICS_PORT=str(port)) as service:
        metrics = Metrics(service, port)
        until(lambda: metrics.value("jobs", state="due") == 2)
        assert metrics.value("jobs", state="failed") == 1
        assert metrics.value("jobs", state="running") == 0
        assert 3_600 <= metrics.value("jobs_oldest_seconds") < 3_700


@pytest.mark.parametrize("file", ["prometheus/alerts.yml", "grafana/taskapi.json"])
def test_dashboards_and_alerts_use_existing_metrics(metrics: Metrics, file: str) -> None:
    names = set(re.findall(r"\btaskapi_\w+", (ROOT / "deploy" / file).read_text()))
    with person(metrics.service.url) as client:  # so that there is an event
        client.get("/nothing")
    counted = {
        sample.name
        for family in text_string_to_metric_families(httpx.get(metrics.url).text)
        for sample in family.samples
    }
    assert names
    assert names <= counted


def test_metrics_files_are_removed_with_the_service(database_url: str) -> None:
    def folders() -> set[Path]:
        """Where a worker has open metrics files, which it has once it responded to a request."""
        maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in service.workers())
        return {Path(found) for found in re.findall(r"\S+/taskapi-metrics-[^/]+", maps)}

    with started(database_url, METRICS_PORT=str(free_port())) as service:
        until(lambda: bool(folders()))
        (folder,) = folders()
        assert any(folder.iterdir())
    assert not folder.exists()


def test_without_metrics_the_library_is_not_loaded() -> None:
    code = (
        "from gevent import monkey; monkey.patch_all();"
        "import sys; from config import Settings; from taskapi import create_app;"
        "from taskapi.server import worker;"
        "create_app(Settings(database_url='postgresql:///x', jwt_secret_key='k' * 40));"
        "sys.exit(bool({'prometheus_client', 'opentelemetry', 'sentry_sdk'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
