"""The database's timeouts: `flask set-timeouts`, exceptions from them, a warning at the start."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask
from psycopg import errors, sql
from support import databases, world
from support.api import PASSWORD, Api
from support.contract import Contract
from support.databases import KEY
from support.servers import ROOT, started

from config import Settings

pytestmark = pytest.mark.processes

PATIENCE = 20.0
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.6);
    RETURN OLD;
END
$$
"""


@pytest.fixture
def own(server_url: str, template: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database of the test's own."""
    name = f"timeouts_{abs(hash(request.node.nodeid))}"
    return databases.create(server_url, name, template)


@pytest.fixture
def role(own: str) -> Iterator[str]:
    """The URL for an ordinary role, which owns nothing but its own settings."""
    name = f"role_{time.monotonic_ns()}"
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        yield own.replace("//postgres@", f"//{name}@")
        for drop in ("DROP OWNED BY {}", "DROP ROLE {}"):
            connection.execute(sql.SQL(drop).format(sql.Identifier(name)))


def set_timeouts(url: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"DATABASE_URL": url, "JWT_SECRET_KEY": KEY, "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-m", "flask", "set-timeouts"],
        cwd=ROOT,
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def shown(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SHOW {name}".encode()).fetchone()
    assert row
    return str(row[0])


def test_the_database_cancels_what_the_service_no_longer_waits_for(role: str) -> None:
    done = set_timeouts(role)
    assert done.returncode == 0, done.stderr
    assert "statement_timeout of role role_" in done.stdout
    assert shown(role, "statement_timeout") == "3s"
    assert shown(role, "lock_timeout") == "2500ms"
    assert shown(role, "client_connection_check_interval") == "1s"
    with psycopg.connect(role) as connection, pytest.raises(errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(30)")


def test_other_roles_and_databases_keep_their_timeouts(own: str, role: str) -> None:
    before = shown(own, "statement_timeout")
    assert set_timeouts(role).returncode == 0
    assert shown(own, "statement_timeout") == before
    elsewhere = databases.named(role, "postgres")
    assert shown(elsewhere, "statement_timeout") == before


def test_the_timeouts_follow_the_patience_of_the_service(role: str) -> None:
    assert set_timeouts(role, DATABASE_POOL_TIMEOUT="5").returncode == 0
    assert shown(role, "statement_timeout") == "6s"
    assert shown(role, "lock_timeout") == "5500ms"


def test_a_direct_url_sets_them_for_the_role_of_the_service(own: str, role: str) -> None:
    pooled = role.replace("?host=", "?host=/nowhere/")  # the pooler is not used
    done = set_timeouts(pooled, DATABASE_URL_DIRECT=own)
    assert done.returncode == 0, done.stderr
    assert shown(role, "statement_timeout") == "3s"


def test_a_role_without_permission_is_told_what_to_do(own: str, role: str) -> None:
    done = set_timeouts(own, DATABASE_URL_DIRECT=role)
    assert done.returncode == 1
    assert "permission denied" in done.stderr
    assert "log in as its administrator" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def impatient(own: str) -> Iterator[tuple[Settings, Flask]]:
    """The service on a database that cancels statements after 0.3 s, and deletes slowly."""
    name = sql.Identifier(own.partition("?")[0].rpartition("/")[2])
    with psycopg.connect(own, autocommit=True) as connection:
        connection.execute(SLOW.encode())
        for table in ("users", "idempotency_keys", "lists"):
            connection.execute(
                sql.SQL(
                    "CREATE TRIGGER slow BEFORE DELETE ON {} FOR EACH ROW EXECUTE FUNCTION slow()"
                ).format(sql.Identifier(table))
            )
        timeout = sql.SQL("ALTER DATABASE {} SET statement_timeout = '300ms'")
        connection.execute(timeout.format(name))
    settings = databases.settings_for(own)
    with world.worker(settings) as app:
        yield settings, app


def test_the_deletion_of_an_account_may_take_longer(
    impatient: tuple[Settings, Flask], contract: Contract
) -> None:
    _, app = impatient
    user = Api(app.test_client(), contract).registered()
    row = user.expect(201, "POST", "/lists", json={"name": "Errands"})
    # An ordinary request is canceled.
    user.expect(503, "DELETE", f"/lists/{row['id']}")
    user.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})


def test_a_purge_may_take_longer(impatient: tuple[Settings, Flask]) -> None:
    settings, app = impatient
    world.sql(settings, "INSERT INTO users (id, email, hashed_password) VALUES (7, 'a@b.c', '')")
    world.sql(settings, "INSERT INTO workspaces (id, owner_id, name) VALUES (7, 7, 'Personal')")
    world.sql(
        settings,
        "INSERT INTO idempotency_keys (workspace_id, user_id, key, response, expires_at)"
        " VALUES (7, 7, 'k', '', now() - interval '2 days')",
    )
    done = app.test_cli_runner().invoke(args=["purge"])
    assert done.exit_code == 0, done.output
    assert "1 stored responses" in done.output


@pytest.mark.parametrize(("timeout", "is_warned"), [("0", True), ("1s", True), ("3s", False)])
def test_the_start_warns_of_missing_timeouts(own: str, timeout: str, *, is_warned: bool) -> None:
    name = sql.Identifier(own.partition("?")[0].rpartition("/")[2])
    with psycopg.connect(own, autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} SET statement_timeout = {}")
        connection.execute(statement.format(name, sql.Literal(timeout)))
    with started(own, LOG_FORMAT="json") as service:
        deadline = time.monotonic() + (PATIENCE if is_warned else 2)
        while "timeouts_missing" not in service.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        lines = [json.loads(line) for line in service.log.read_text().splitlines() if line]
    warnings = [line for line in lines if line["message"] == "timeouts_missing"]
    assert len(warnings) == is_warned
    for warning in warnings:
        assert warning["level"] == "WARNING"
        assert warning["remedy"] == "run: flask set-timeouts"
