"""The service behind PgBouncer in transaction mode. It leaves no session state.

PGBOUNCER_SECONDS is the duration of the load.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.databases import settings_for
from support.jobs import append, lines, until, working
from support.pgbouncer import POOL_SIZE, Bouncer, bouncing
from support.place import CREATED, SETTLE, Figures, new_database, sql
from support.servers import started
from support.visitors import visiting
from support.world import worker
from support.writers import writing

pytestmark = [pytest.mark.faults, pytest.mark.alone]

SECONDS = float(os.environ.get("PGBOUNCER_SECONDS", "20"))
OTHERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


@pytest.fixture(scope="module")
def database_url(faults_folder: Path) -> Iterator[str]:
    with new_database(faults_folder) as url:
        yield url


@pytest.fixture(scope="module")
def bouncer(database_url: str, run_folder: Path) -> Iterator[Bouncer]:
    with bouncing(database_url, run_folder) as bouncer:
        yield bouncer


def test_the_service_works_through_pgbouncer(
    bouncer: Bouncer, database_url: str, figures: Figures
) -> None:
    with started(bouncer.url) as service:
        with writing(service.url) as writers, visiting(service.url) as visits:
            time.sleep(SECONDS)
        assert sql(database_url, f"SELECT count(*) {OTHERS}") == [(POOL_SIZE,)]
        _check_no_session_state(bouncer, database_url)
    figures.add_writers(writers)
    figures.add("other calls", visits.total())
    figures.add("version", ".".join(map(str, bouncer.version)))
    assert set(writers.statuses()) == {CREATED}
    assert visits.total() > 0
    assert visits.unexpected() == {}


def test_prepared_statements_work_from_the_documented_version_on(
    bouncer: Bouncer, database_url: str, figures: Figures
) -> None:
    """An older version fails at once, but never executes another statement."""
    with started(bouncer.url, DATABASE_PREPARE="true") as service:
        with visiting(service.url) as visits:
            time.sleep(2 * SETTLE)
        _check_no_session_state(bouncer, database_url)
    failed = sum(visits.unexpected().values())
    figures.add("answers", f"{visits.total() - failed} x 2xx, {failed} x 500")
    assert {status for _, status in visits.unexpected()} <= {500}
    assert (failed == 0) == bouncer.carries_prepared_statements


def test_jobs_are_queued_and_run_through_pgbouncer(
    bouncer: Bouncer, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "lines"
    with working(bouncer.url), worker(settings_for(bouncer.url)) as app, app.app_context():
        for number in range(20):
            append.defer(file=str(file), line=str(number))
        until(lambda: sorted(map(int, lines(file))) == list(range(20)))
    _check_no_session_state(bouncer, database_url)


def _check_no_session_state(bouncer: Bouncer, database_url: str) -> None:
    assert bouncer.leaked_settings() == {}
    idle = f"SELECT count(*) {OTHERS} AND state = 'idle in transaction'"
    assert sql(database_url, idle) == [(0,)]
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    assert sql(database_url, locks) == [(0,)]


def test_a_leaked_session_setting_is_detected(bouncer: Bouncer) -> None:
    with psycopg.connect(bouncer.url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SET statement_timeout = '7s'")
        assert bouncer.leaked_settings() == {"statement_timeout": "7000"}
        connection.execute("DISCARD ALL")
