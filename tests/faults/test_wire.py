"""Broken, slow and stalled connections: a repeated write is performed once, and no request hangs.

One proxy is between clients and the service, another between the service and PostgreSQL.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from psycopg import conninfo
from support.place import CREATED, SETTLE, UNAVAILABLE, Figures, new_database, seconds_of
from support.proxy import Cut, Moment, Proxy, proxied
from support.servers import started
from support.writers import BROKEN, person, writing

pytestmark = [pytest.mark.faults, pytest.mark.alone]

ATTEMPTS = 50
CONFLICT = 409


class Wires(NamedTuple):
    """The service between its two proxies."""

    url: str
    to_service: Proxy
    to_database: Proxy


@pytest.fixture(scope="module")
def wires(faults_folder: Path) -> Iterator[Wires]:
    with new_database(faults_folder) as url:
        about = conninfo.conninfo_to_dict(url)
        with proxied(f"{about['host']}/.s.PGSQL.{about['port']}") as to_database:
            # The proxy searches the data, which must not be encrypted.
            through = (
                f"postgresql://{about['user']}@127.0.0.1:{to_database.port}/{about['dbname']}"
                "?sslmode=disable&gssencmode=disable"
            )
            with started(through) as service:
                port = httpx.URL(service.url).port
                assert port
                with proxied(("127.0.0.1", port)) as to_service:
                    yield Wires(f"http://127.0.0.1:{to_service.port}", to_service, to_database)


def _sent_until_acknowledged(client: httpx.Client) -> list[int]:
    """The results of all attempts to create a task with the same key."""
    headers, statuses = {"Idempotency-Key": str(uuid.uuid4())}, []
    while CREATED not in statuses:
        assert len(statuses) < ATTEMPTS, statuses
        try:
            response = client.post("/tasks", json={"title": "Once"}, headers=headers)
            statuses.append(response.status_code)
        except httpx.TransportError:
            statuses.append(BROKEN)
        time.sleep(0.02)
    return statuses


def _exists_once(client: httpx.Client) -> bool:
    """Whether there is exactly one task after a second attempt with the key."""
    listed = client.get("/tasks").json()
    return listed["total"] == 1 and [task["title"] for task in listed["tasks"]] == ["Once"]


@pytest.mark.parametrize(
    "cut",
    [
        Cut(b"Idempotency-Key", Moment.BEFORE),
        Cut(b'"Once"', Moment.BEFORE),
        Cut(b'"Once"', Moment.SENT),
        Cut(b'"Once"', Moment.UNANSWERED),
        Cut(b'"Once"', Moment.HALF_ANSWERED),
    ],
    ids=["in the head", "in the body", "once sent", "before the answer", "in the answer"],
)
def test_a_write_repeated_after_the_client_lost_its_connection_is_performed_once(
    wires: Wires, cut: Cut
) -> None:
    with person(wires.url) as client:
        wires.to_service.cut_once(cut)
        statuses = _sent_until_acknowledged(client)
        assert wires.to_service.was_cut.is_set()
        assert statuses[0] == BROKEN
        assert set(statuses[1:]) <= {CREATED, CONFLICT}
        assert _exists_once(client)


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize(
    "at",
    [
        b"BEGIN",
        b"pg_try_advisory_xact_lock",
        b"INSERT INTO tasks",
        b"idempotency_keys (",
        b"COMMIT",
    ],
    ids=["begin", "claim", "write", "keep", "commit"],
)
def test_a_write_repeated_after_the_database_connection_broke_is_performed_once(
    wires: Wires, at: bytes, moment: Moment
) -> None:
    with person(wires.url) as client:
        wires.to_database.cut_once(Cut(at, moment))
        statuses = _sent_until_acknowledged(client)
        assert wires.to_database.was_cut.is_set()
        assert statuses[0] == UNAVAILABLE
        assert set(statuses[1:]) <= {CREATED, CONFLICT}
        assert _exists_once(client)


def test_a_slowly_starting_database_returns_503_meanwhile(
    wires: Wires, figures: Figures, anybody: httpx.Client
) -> None:
    lives = []
    with writing(wires.url) as writers:
        time.sleep(SETTLE)
        wires.to_database.connect_seconds = 5
        wires.to_database.drop_all()
        asleep = time.monotonic()
        try:
            while time.monotonic() < asleep + 8:
                lives.append(seconds_of(lambda: anybody.get(f"{wires.url}/livez"), 200))
                time.sleep(0.2)
        finally:
            wires.to_database.connect_seconds = 0
    figures.add_writers(writers, back_after=asleep)
    figures.add_seconds("slowest /livez", max(lives))
    statuses = writers.statuses()
    assert statuses[UNAVAILABLE] > 0
    assert statuses[CREATED] + statuses[UNAVAILABLE] >= 0.99 * statuses.total()
    assert writers.slowest() < 10
    assert max(lives) < 0.5
    assert writers.seconds_until_success(asleep) < 7


def test_a_stalled_network_returns_503_in_time(
    wires: Wires, figures: Figures, anybody: httpx.Client
) -> None:
    lives = []
    with writing(wires.url) as writers:
        time.sleep(SETTLE)
        with wires.to_database.stalled():
            deadline = time.monotonic() + 8
            while time.monotonic() < deadline:
                lives.append(seconds_of(lambda: anybody.get(f"{wires.url}/livez"), 200))
                time.sleep(0.2)
        moving = time.monotonic()
        time.sleep(2 * SETTLE)
    figures.add_writers(writers, back_after=moving)
    figures.add_seconds("slowest /livez", max(lives))
    assert writers.statuses()[UNAVAILABLE] > 0
    assert set(writers.statuses()) <= {CREATED, UNAVAILABLE, CONFLICT}
    assert writers.slowest() < 5
    assert max(lives) < 0.5
    assert writers.seconds_until_success(moving) < 5
