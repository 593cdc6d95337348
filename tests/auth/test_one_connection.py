"""No request on an account waits for a second connection while it holds one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import literal_column, select
from support import world
from support.api import PASSWORD, Api, new_email
from support.calls import CALLS, Call
from support.contract import Contract
from support.resources import sign_in_code
from support.signing_in import VERIFIER

from config import Settings
from taskapi.db import database
from taskapi.db.statement import Statement

ACCOUNT_CALLS = [call for call in CALLS if call.path.startswith("/auth")]
LATER = "UPDATE sessions SET last_used_at = now() - interval '1 hour' WHERE user_id = %s"
_keys = (f"key-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def single(settings: Settings) -> Iterator[Flask]:
    """An application with one connection, and with its limits on attempts."""
    limits: dict[str, Any] = {"database_pool_size": 1, "database_pool_timeout": 0.5}
    with world.worker(settings, ratelimit_enabled=True, **limits) as app:
        yield app


@pytest.fixture
def person(single: Flask, contract: Contract, user: Api) -> Api:
    return world.person(single, contract, user, REMOTE_ADDR="192.0.2.200")


@pytest.fixture(autouse=True)
def _uncounted(settings: Settings) -> None:
    world.sql(settings, "DELETE FROM rate_limits")


def _body(call: Call, person: Api, *, is_right: bool) -> dict[str, Any]:
    password = PASSWORD if is_right else "another password"
    values = {
        "email": new_email() if call.name == "register" and is_right else person.email,
        "password": password,
        "current_password": password,
        "new_password": "staple 42 times",
        "new_email": new_email(),
        "token": "te_unknown",
        "refresh_token": person.login["refresh_token"] if is_right else "tr_forged",
        "name": "A script" if is_right else "",
        "scopes": ["tasks:read"],
        "code_verifier": VERIFIER,
    }
    required = call.body.get("required", ()) if call.body else ()
    if "code_verifier" in required and is_right:
        values["code"] = sign_in_code(person, new_email())
    return {name: values.get(name, call.example.get(name)) for name in required}


@pytest.mark.parametrize("has_key", [False, True], ids=["without a key", "with a key"])
@pytest.mark.parametrize("is_right", [True, False], ids=["right", "wrong"])
@pytest.mark.parametrize("call", ACCOUNT_CALLS, ids=str)
def test_a_pool_of_one_serves_every_account_operation(
    person: Api, call: Call, is_right: bool, has_key: bool
) -> None:
    token = person.with_token("tasks:read").created
    ids = {
        "session_id": person.again().login["user"]["id"],
        "token_id": token["id"] if is_right else 1,
        "identity_id": 1,
    }
    path = call.path.format(provider="unknown", **ids)
    body = _body(call, person, is_right=is_right)
    headers = {"Idempotency-Key": next(_keys)} if has_key else {}
    sent: dict[str, Any] = {"json": body} if call.body else {}
    for _ in range(2):
        response = person.send(call.method, path, headers=headers, **sent)
        assert response.status_code < 429, response.get_data(as_text=True)
        assert b"invalid_idempotency_key" not in response.data


@pytest.mark.parametrize("has_key", [False, True], ids=["without a key", "with a key"])
def test_a_reused_refresh_token_sent_48_times_at_once_ends_its_session(
    settings: Settings, contract: Contract, user: Api, stranger: Api, has_key: bool
) -> None:
    body = {"refresh_token": user.login["refresh_token"]}
    user.expect(200, "POST", "/auth/refresh", json=body)
    world.sql(settings, LATER, user.user_id)
    keys = [{"Idempotency-Key": next(_keys)} if has_key else {} for _ in range(48)]
    with world.worker(settings, database_pool_size=2, database_pool_timeout=5.0) as app:
        people = [world.person(app, contract) for _ in keys]
        answers = world.at_once(
            [
                lambda api=api, key=key: api.send("POST", "/auth/refresh", json=body, headers=key)
                for api, key in zip(people, keys, strict=True)
            ]
        )
        assert {answer.status_code for answer in answers} == {401}
        world.person(app, contract, stranger).expect(200, "GET", "/tasks")
        world.person(app, contract, user).expect(401, "GET", "/auth/me")


def test_a_second_connection_is_refused_at_once(single: Flask) -> None:
    one = Statement(select(literal_column("1")), independent=True)
    refused = pytest.raises(RuntimeError, match="must not wait for another")
    with single.test_request_context(), database.transaction(), refused:
        database.rows(one)
