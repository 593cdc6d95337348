"""Errors of other nodes of a Citus cluster are 503. Triggers raise them in place of Citus."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic_ns

import psycopg
import pytest
from support import databases
from support.api import Api
from support.contract import Contract
from werkzeug.test import TestResponse

from taskapi import create_app

LOST = "failure on connection marked as essential: worker-1:5432"
REMOTE = "connection to the remote node worker-1:5432 failed"
_RAISES = """
CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{message}' USING ERRCODE = '{state}';
END
$$
"""
_TRIGGER = """
CREATE CONSTRAINT TRIGGER fail AFTER INSERT OR UPDATE ON labels {when}
FOR EACH ROW EXECUTE FUNCTION fail()
"""
_READ = """
ALTER TABLE labels RENAME TO all_labels;
CREATE FUNCTION failing() RETURNS SETOF all_labels LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{message}' USING ERRCODE = '{state}';
END
$$;
CREATE VIEW labels AS SELECT * FROM failing()
"""
_AT_ONCE, _AT_COMMIT = "NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"


@pytest.fixture
def url(server_url: str, template: str, worker_id: str) -> str:
    return databases.create(server_url, f"nodes_{worker_id}_{monotonic_ns()}", template)


@pytest.fixture
def me(url: str, contract: Contract) -> Iterator[Api]:
    app = create_app(databases.settings_for(url))
    yield Api(app.test_client(), contract).registered()
    app.extensions["taskapi_pool"].close()


def _break(url: str, state: str, message: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_RAISES.format(state=state, message=message).encode())
        connection.execute(statement.encode())


def _code(response: TestResponse) -> str:
    """The code of a problem, which says when to retry unless it is an internal error."""
    code: str = response.get_json()["code"]
    is_internal = code == "internal_error"
    assert response.status_code == (500 if is_internal else 503)
    assert ("Retry-After" in response.headers) != is_internal
    return code


@pytest.mark.parametrize(
    ("state", "message", "code"),
    [
        ("CIINF", "the shard was moved", "unavailable"),
        ("XX000", LOST, "outcome_unknown"),
        ("XX000", "something else", "internal_error"),
        ("08006", REMOTE, "outcome_unknown"),
    ],
)
def test_a_write_of_one_statement(url: str, me: Api, state: str, message: str, code: str) -> None:
    _break(url, state, message, _TRIGGER.format(when=_AT_ONCE))
    assert _code(me.send("POST", "/labels", json={"name": "urgent"})) == code


@pytest.mark.parametrize(
    ("state", "message", "when", "code"),
    [
        ("CIINF", "the shard was moved", _AT_ONCE, "unavailable"),
        ("CIINF", "the shard was moved", _AT_COMMIT, "unavailable"),
        ("XX000", LOST, _AT_ONCE, "unavailable"),
        ("XX000", LOST, _AT_COMMIT, "outcome_unknown"),
        ("08006", REMOTE, _AT_ONCE, "unavailable"),
        ("08006", REMOTE, _AT_COMMIT, "outcome_unknown"),
    ],
)
def test_a_transaction_was_rolled_back_unless_its_commit_failed(
    url: str, me: Api, state: str, message: str, when: str, code: str
) -> None:
    _break(url, state, message, _TRIGGER.format(when=when))
    keyed = {"json": {"name": "urgent"}, "headers": {"Idempotency-Key": "once"}}
    assert _code(me.send("POST", "/labels", **keyed)) == code


@pytest.mark.parametrize(
    ("state", "message"), [("CIINF", "the shard was moved"), ("XX000", LOST), ("08006", REMOTE)]
)
def test_a_read(url: str, me: Api, state: str, message: str) -> None:
    _break(url, state, message, _READ.format(state=state, message=message))
    assert _code(me.send("GET", "/labels")) == "unavailable"
