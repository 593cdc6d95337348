"""A full disk: writes return 507, no write is lost, and reads work."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from support import databases
from support.disk import Disk, small_disk
from support.place import CREATED, SETTLE, UNAVAILABLE, Figures, new_database, sql
from support.servers import started
from support.writers import person, writing

pytestmark = [pytest.mark.faults, pytest.mark.alone]

INSUFFICIENT = 507
CONFLICT = 409


@contextmanager
def _database_on(disk: Disk, server_folder: Path) -> Iterator[str]:
    """The URL of a migrated database with its tables on this disk, but not its write-ahead log."""
    with databases.server(server_folder, is_durable=True) as server_url:
        tables = disk.folder / "tables"
        tables.mkdir()
        owner = (server_folder / "postgres").stat()
        os.chown(tables, owner.st_uid, owner.st_gid)
        sql(server_url, f"CREATE TABLESPACE small LOCATION '{tables}'")
        sql(server_url, "CREATE DATABASE small TEMPLATE template0 TABLESPACE small")
        try:
            url = databases.named(server_url, "small")
            databases.migrate(url)
            yield url
        finally:
            sql(server_url, "DROP DATABASE small (FORCE)")
            sql(server_url, "DROP TABLESPACE small")


def _refused(client: httpx.Client) -> httpx.Response:
    """The response to the first large task that does not fit."""
    for _ in range(100):
        body = {"title": "Large", "description": secrets.token_hex(4_500)}
        response = client.post("/tasks", json=body)
        if response.status_code != CREATED:
            return response
    raise AssertionError("the disk is not full")


def test_a_full_disk_rejects_writes_and_serves_reads(
    faults_folder: Path, run_folder: Path, figures: Figures
) -> None:
    with (
        small_disk(run_folder / "small", 40) as disk,
        _database_on(disk, faults_folder) as url,
        started(url, DATABASE_PREPARE="true") as service,
        person(service.url) as client,
    ):
        task = client.post("/tasks", json={"title": "Before"}).json()
        with writing(service.url) as writers:
            time.sleep(SETTLE)
            disk.fill()
            refused = _refused(client)
            time.sleep(2 * SETTLE)
            before = client.get("/tasks").raise_for_status().json()["total"]
            assert _refused(client).status_code == INSUFFICIENT
            assert client.get(f"/tasks/{task['id']}").json() == task
            assert client.get("/readyz").status_code == 200
            assert client.get("/tasks").json()["total"] == before
            disk.free()
            freed = time.monotonic()
            time.sleep(SETTLE)
        assert client.post("/tasks", json={"title": "After"}).status_code == CREATED
    figures.add_writers(writers, back_after=freed)
    assert refused.status_code == INSUFFICIENT
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "insufficient_storage"
    assert "no space" in refused.json()["detail"]
    assert set(writers.statuses()) == {CREATED, INSUFFICIENT}
    assert all(o.has_retry_after for o in writers.outcomes() if o.status == INSUFFICIENT)
    assert writers.seconds_until_success(freed) < 2


def _fill_write_ahead_log(database_url: str) -> None:
    """Write more to the write-ahead log than its preallocated files hold."""
    for _ in range(5):
        sql(database_url, "SELECT pg_logical_emit_message(true, '', 'something to log')")
        sql(database_url, "SELECT pg_switch_wal()")


def test_a_full_wal_disk_stops_the_database_and_loses_no_acknowledged_write(
    run_folder: Path, figures: Figures, anybody: httpx.Client
) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(run_folder / "whole", 200))
        folder = disk.folder / "data"
        url = stack.enter_context(new_database(folder))
        service = stack.enter_context(started(url, DATABASE_PREPARE="true"))
        with ExitStack() as until_looked_for:
            writers = until_looked_for.enter_context(writing(service.url))
            time.sleep(SETTLE)
            disk.fill()
            with pytest.raises(psycopg.OperationalError):
                _fill_write_ahead_log(url)
            time.sleep(SETTLE)
            assert anybody.get(f"{service.url}/livez").status_code == 200
            assert anybody.get(f"{service.url}/readyz").status_code == UNAVAILABLE
            disk.free()
            until_looked_for.enter_context(databases.server(folder, is_durable=True))
            freed = time.monotonic()
            time.sleep(2 * SETTLE)
            until_looked_for.pop_all().close()
    figures.add_writers(writers, back_after=freed)
    assert writers.statuses()[UNAVAILABLE] > 0
    assert set(writers.statuses()) <= {CREATED, UNAVAILABLE, INSUFFICIENT, CONFLICT}
    assert writers.seconds_until_success(freed) < 2
