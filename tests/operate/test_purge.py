"""`flask purge` deletes only expired rows, and blocks no request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from support import databases, world
from support.api import Api
from support.contract import Contract
from support.jobs import until

from config import Settings
from taskapi.auth.queries import sessions_purge

TABLES = (
    *("sessions", "idempotency_keys", "email_tokens", "email_changes"),
    *("rate_limits", "sign_in_codes"),
)


@pytest.fixture
def own(server_url: str, template: str, request: pytest.FixtureRequest) -> Settings:
    """A database for this test, because a purge affects all users."""
    name = f"purge_{abs(hash(request.node.nodeid))}"
    return databases.settings_for(databases.create(server_url, name, template))


@pytest.fixture
def app(own: Settings) -> Iterator[Flask]:
    with world.worker(own) as app:
        yield app


def fill(settings: Settings, count: int, *, is_over: bool) -> None:
    """Rows of each table of a new account."""
    email = f"{'over' if is_over else 'alive'}@example.com"
    made = "INSERT INTO users (email, hashed_password) VALUES (%s, '') RETURNING id"
    ((user_id,),) = world.sql(settings, made, email)
    workspace = "INSERT INTO workspaces (id, owner_id, name) VALUES (%s, %s, 'Personal')"
    world.sql(settings, workspace, user_id, user_id)
    ago = "31 days" if is_over else "-1 hour"
    world.sql(
        settings,
        "INSERT INTO sessions (user_id, family_hash, refresh_hash, expires_at)"
        " SELECT %s, '', '', now() - %s::interval FROM generate_series(1, %s)",
        user_id,
        ago,
        count,
    )
    world.sql(
        settings,
        "INSERT INTO idempotency_keys (workspace_id, user_id, key, response, expires_at)"
        " SELECT %s, %s, n, '', now() - %s::interval FROM generate_series(1, %s) n",
        user_id,
        user_id,
        ago,
        count,
    )
    world.sql(
        settings,
        "INSERT INTO email_tokens (user_id, purpose, token_hash, email, expires_at)"
        " SELECT %s, 'verify', (%s || n)::bytea, '', now() - %s::interval"
        " FROM generate_series(1, %s) n",
        user_id,
        email,
        ago,
        count,
    )
    world.sql(
        settings,
        "INSERT INTO email_changes (user_id, old_email, new_email, expires_at)"
        " SELECT %s, '', '', now() - %s::interval FROM generate_series(1, %s)",
        user_id,
        ago,
        count,
    )
    world.sql(
        settings,
        "INSERT INTO rate_limits (key, count, expires_at)"
        " SELECT %s || n, 1, now() - %s::interval FROM generate_series(1, %s) n",
        email,
        ago,
        count,
    )
    world.sql(
        settings,
        "INSERT INTO sign_in_codes (code_hash, challenge, issuer, subject, expires_at)"
        " SELECT sha256((%s || n)::bytea), '', '', '', now() - %s::interval"
        " FROM generate_series(1, %s) n",
        email,
        ago,
        count,
    )


def counts(settings: Settings) -> dict[str, int]:
    return {t: world.sql(settings, f"SELECT count(*) FROM {t}")[0][0] for t in TABLES}


def purge(app: Flask) -> str:
    done = app.test_cli_runner().invoke(args=["purge"])
    assert done.exit_code == 0, done.output
    return done.output


def test_only_expired_rows_are_purged(app: Flask, own: Settings) -> None:
    fill(own, 2_500, is_over=True)
    fill(own, 1_200, is_over=False)
    said = purge(app)
    assert [line.split()[0] for line in said.splitlines()] == ["2500"] * 6 + ["0"] * 4
    assert counts(own) == dict.fromkeys(TABLES, 1_200)
    assert [line.split()[0] for line in purge(app).splitlines()] == ["0"] * 10


def test_concurrent_purges_share_the_work(app: Flask, own: Settings) -> None:
    fill(own, 5_000, is_over=True)

    def purge_sessions() -> int:
        with app.app_context():
            return sessions_purge.run()

    purged = world.at_once([purge_sessions] * 4)
    assert sum(purged) == 5_000
    assert counts(own)["sessions"] == 0


def test_a_purge_that_is_the_victim_of_a_deadlock_goes_on(app: Flask, own: Settings) -> None:
    fill(own, 20, is_over=True)
    lock = "SELECT 1 FROM sessions WHERE {} FOR UPDATE"
    last = "id = (SELECT max(id) FROM sessions)"
    with ThreadPoolExecutor(1) as threads:
        with world.holding(own, lock.format(last)) as transaction:
            transaction.execute("SET LOCAL deadlock_timeout = '1min'")
            purged = threads.submit(purge, app)
            world.until_blocked(own, 1)
            transaction.execute(lock.format("true"))
        assert purged.result().startswith("20 ")
    assert counts(own)["sessions"] == 0
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    # If the other transaction is slow to take the locks, the second attempt deadlocks too.
    until(lambda: world.sql(own, deadlocks) > [(0,)])


@pytest.mark.parametrize("table", TABLES)
def test_a_purge_waits_for_locked_rows(app: Flask, own: Settings, table: str) -> None:
    fill(own, 3, is_over=True)
    held = f"SELECT 1 FROM {table} ORDER BY 1 LIMIT 1 FOR UPDATE"
    with ThreadPoolExecutor(1) as threads:
        with world.holding(own, held):
            purged = threads.submit(purge, app)
            world.until_blocked(own, 1)
        purged.result()
    assert counts(own)[table] == 0


def test_live_sessions_are_kept(app: Flask) -> None:
    contract = Contract(json.loads(app.extensions["taskapi_openapi"]()))
    person = Api(app.test_client(), contract).registered()
    key: dict[str, Any] = {"headers": {"Idempotency-Key": "kept"}}
    first = person.send("POST", "/tasks", json={"title": "Kept"}, **key)
    purge(app)
    again = person.send("POST", "/tasks", json={"title": "Kept"}, **key)
    assert (again.status_code, again.data) == (201, first.data)
