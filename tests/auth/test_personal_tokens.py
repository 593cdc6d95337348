"""Personal access tokens: their form, quota, expiry and last use, and revocation at once."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from support import databases, wire
from support.api import PASSWORD, Api
from support.contract import Contract
from support.world import at_once, holding, person, sql, until_blocked, worker

from config import Settings
from taskapi.http import admission
from taskapi.http.scopes import SCOPES

BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALL = list(SCOPES)


def _tokens(user: Api) -> list[dict[str, Any]]:
    return user.expect(200, "GET", "/auth/tokens")["tokens"]


def _elsewhere(app: Flask, contract: Contract, like: Api) -> Api:
    """A client of another worker with the same token."""
    return person(app, contract, like=like)


@pytest.fixture
def other_worker(settings: Settings) -> Iterator[Flask]:
    with worker(settings) as app:
        yield app


def test_a_token_is_returned_once_and_only_its_hash_is_stored(
    user: Api, settings: Settings
) -> None:
    body = {"name": " Backup ", "scopes": ["tasks:write", "tasks:read"]}
    created = user.expect(201, "POST", "/auth/tokens", json=body)
    assert created["name"] == "Backup"
    assert created["scopes"] == ["tasks:read", "tasks:write"]
    assert (created["last_used_at"], created["expires_at"]) == (None, None)
    token = created.pop("token")
    assert _tokens(user) == [created]
    (row,) = sql(settings, "SELECT to_jsonb(sessions) FROM sessions WHERE id = %s", created["id"])
    assert token not in str(row)
    assert len(row[0]["token_hash"]) == len(r"\x") + 64


def test_a_scanner_recognizes_a_token_by_its_checksum(user: Api) -> None:
    token = user.with_token("tasks:read").created["token"]
    assert re.fullmatch("tapi_[0-9A-Za-z]{68}", token)
    number = zlib.crc32(token[:-6].encode())
    digits = [BASE_62[number // 62**place % 62] for place in range(5, -1, -1)]
    assert token[-6:] == "".join(digits)


def test_a_token_is_used_like_an_access_token(user: Api) -> None:
    token = user.with_token("tasks:read", "tasks:write")
    task = token.task(title="From a script")
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    headers = {"Authorization": f"bEaReR   {token.created['token']} "}
    assert token.expect(200, "GET", "/tasks", headers=headers)["total"] == 1


def test_no_changed_or_cut_token_is_accepted(user: Api) -> None:
    token = user.with_token(*ALL).created["token"]
    number = zlib.crc32(b"tapi_" + b"z" * 62)
    checksum = "".join(BASE_62[number // 62**place % 62] for place in range(5, -1, -1))
    spoilt = [token[:-1], token + "0", token.swapcase(), "tapi_", f"tapi_{'z' * 62}{checksum}"]
    spoilt += [token[:i] + ("0" if token[i] != "0" else "1") + token[i + 1 :] for i in (5, 40, 72)]
    for one in spoilt:
        headers = {"Authorization": f"Bearer {one}"}
        user.problem(401, "token_invalid", "GET", "/tasks", headers=headers)
    user.expect(200, "GET", "/tasks", headers={"Authorization": f"Bearer {token}"})


def _with_another_secret(token: str) -> str:
    """The token with another secret and a right checksum."""
    text = token[:-7] + ("0" if token[-7] != "0" else "1")
    number = zlib.crc32(text.encode())
    return text + "".join(BASE_62[number // 62**place % 62] for place in range(5, -1, -1))


def test_a_forged_token_with_a_right_checksum_is_invalid_and_counts_towards_its_network(
    user: Api, app: Flask, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = _with_another_secret(user.with_token(*ALL).created["token"])
    headers = {"Authorization": f"Bearer {forged}"}
    monkeypatch.setattr(admission, "REFUSALS_PER_SECOND", 0.1)
    pauses: list[float] = []
    monkeypatch.setattr(admission, "sleep", pauses.append)
    attacker = person(app, contract, REMOTE_ADDR="203.0.113.77")
    for _ in range(3):
        attacker.problem(401, "token_invalid", "GET", "/tasks", headers=headers)
    assert len(pauses) == 2
    assert pauses[0] < pauses[1]


def test_tokens_that_a_worker_does_not_know_are_looked_up_one_at_a_time_per_network(
    user: Api, settings: Settings, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "PAUSE_SECONDS", 0.01)
    forged = _with_another_secret(user.with_token(*ALL).created["token"])
    headers = {"Authorization": f"Bearer {forged}"}
    with worker(settings, database_pool_size=2, database_pool_timeout=1) as app:
        attackers = [person(app, contract, REMOTE_ADDR="203.0.113.78") for _ in range(4)]
        other = person(app, contract, like=user, REMOTE_ADDR="203.0.113.79")
        other.expect(200, "GET", "/tasks")
        lock = "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"
        with holding(settings, lock):
            responses = at_once(
                [lambda a=a: a.send("GET", "/tasks", headers=headers) for a in attackers]
            )
        codes = sorted(response.get_json()["code"] for response in responses)
        assert codes.count("too_many_concurrent_requests") == 3
        other.expect(200, "GET", "/tasks")


def test_a_revoked_token_is_invalid_at_once_at_every_worker(
    user: Api, stranger: Api, other_worker: Flask, contract: Contract
) -> None:
    token, kept = user.with_token(*ALL), user.with_token(*ALL)
    clients = [token, _elsewhere(other_worker, contract, token)]
    for client in clients:
        client.expect(200, "GET", "/tasks")
    address = f"/auth/tokens/{token.created['id']}"
    stranger.problem(404, "not_found", "DELETE", address)
    user.expect(204, "DELETE", address)
    for client in clients:
        client.problem(401, "session_ended", "GET", "/tasks")
        client.problem(401, "session_ended", "POST", "/tasks", json={"title": "Late"})
    user.problem(404, "not_found", "DELETE", address)
    assert [one["id"] for one in _tokens(user)] == [kept.created["id"]]
    kept.expect(200, "GET", "/tasks")


def test_all_tokens_are_revoked_and_logins_go_on(user: Api, stranger: Api) -> None:
    tokens = [user.with_token("tasks:read") for _ in range(2)]
    others = stranger.with_token("tasks:read")
    assert user.expect(200, "DELETE", "/auth/tokens") == {"revoked": 2}
    assert user.expect(200, "DELETE", "/auth/tokens") == {"revoked": 0}
    for token in tokens:
        token.problem(401, "session_ended", "GET", "/tasks")
    others.expect(200, "GET", "/tasks")


def test_a_token_expires(user: Api, settings: Settings) -> None:
    expires_at = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    token = user.with_token("tasks:read", expires_at=expires_at)
    assert datetime.fromisoformat(token.created["expires_at"]) == datetime.fromisoformat(expires_at)
    token.expect(200, "GET", "/tasks")
    sql(settings, "UPDATE sessions SET expires_at = now() WHERE id = %s", token.created["id"])
    token.problem(401, "session_ended", "GET", "/tasks")
    assert _tokens(user) == []


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"scopes": []}, "/scopes", "length"),
        ({"scopes": None}, "/scopes", "null"),
        ({"scopes": "tasks:read"}, "/scopes", "not_a_list"),
        ({"scopes": ["tasks:read", "tasks:read"]}, "/scopes", "repeated"),
        ({"scopes": ["tasks:all"]}, "/scopes", "not_a_choice"),
        ({"scopes": ["tokens:write"]}, "/scopes", "not_a_choice"),
        ({"scopes": [1]}, "/scopes", None),
        ({"scopes": ["tasks:read"] * 1_000}, "/scopes", "too_many"),
        ({"name": ""}, "/name", "length"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", "out_of_range"),
        ({"expires_at": "2030-01-01"}, "/expires_at", "not_an_instant"),
        ({"user_id": 1}, "/user_id", "unknown_field"),
        ({"kind": "login"}, "/kind", "unknown_field"),
    ],
)
def test_an_invalid_token_is_not_created(
    user: Api, changes: dict[str, Any], pointer: str, code: str | None
) -> None:
    body = {"name": "A", "scopes": ["tasks:read"]} | changes
    problem = user.problem(400, "invalid_input", "POST", "/auth/tokens", json=body)
    (error,) = problem["errors"]
    assert error["pointer"].startswith(pointer)
    assert code in (None, error["code"])
    assert _tokens(user) == []


def test_the_number_of_tokens_has_a_quota_that_concurrent_requests_keep(
    user: Api, settings: Settings, contract: Contract
) -> None:
    with worker(settings, quota_tokens=2) as app:
        clients = [person(app, contract, like=user) for _ in range(5)]
        body = {"name": "A", "scopes": ["tasks:read"]}
        responses = at_once(
            [lambda c=client: c.send("POST", "/auth/tokens", json=body) for client in clients]
        )
        assert sorted(r.status_code for r in responses) == [201, 201, 409, 409, 409]
        clients[0].problem(409, "quota_exceeded", "POST", "/auth/tokens", json=body)
        revoked, _ = _tokens(user)
        user.expect(204, "DELETE", f"/auth/tokens/{revoked['id']}")
        clients[0].expect(201, "POST", "/auth/tokens", json=body)


def test_a_session_that_ends_while_its_request_waits_creates_no_token(
    user: Api, settings: Settings
) -> None:
    other = user.again()
    body = {"name": "A", "scopes": ["tasks:read"]}
    end = "UPDATE sessions SET revoked_at = now() WHERE user_id = %s"
    lock = "SELECT FROM users WHERE id = %s FOR UPDATE"
    with (
        ThreadPoolExecutor(1) as threads,
        holding(settings, lock, user.user_id) as connection,
    ):
        waiting = threads.submit(user.send, "POST", "/auth/tokens", json=body)
        until_blocked(settings, 1)
        connection.execute(f"{end} AND id < (SELECT max(id) FROM sessions)", [user.user_id])
        connection.commit()
        assert waiting.result().get_json()["code"] == "session_ended"
    assert _tokens(other) == []


def test_the_creation_of_tokens_is_limited(api: Api) -> None:
    body = {"name": "A", "scopes": ["tasks:read"]}
    for _ in range(60):
        created = api.expect(201, "POST", "/auth/tokens", json=body)
        api.expect(204, "DELETE", f"/auth/tokens/{created['id']}")
    api.problem(429, "rate_limited", "POST", "/auth/tokens", json=body)


def test_a_repeated_creation_returns_the_same_token_for_two_minutes(
    user: Api, settings: Settings
) -> None:
    sent: dict[str, Any] = {
        "json": {"name": "A", "scopes": ["tasks:read"]},
        "headers": {"Idempotency-Key": "a"},
    }
    first = user.expect(201, "POST", "/auth/tokens", **sent)
    assert user.expect(201, "POST", "/auth/tokens", **sent) == first
    left = "SELECT extract(epoch FROM expires_at - now()) FROM idempotency_keys WHERE user_id = %s"
    assert sql(settings, left, user.user_id)[0][0] <= 120


def test_tokens_are_listed_page_by_page_newest_first(user: Api) -> None:
    ids = [user.with_token("tasks:read").created["id"] for _ in range(5)]
    found = [t["id"] for page in user.pages("/auth/tokens", limit=2) for t in page["tokens"]]
    assert found == ids[::-1]


def test_tokens_are_no_sessions_and_sessions_no_tokens(user: Api) -> None:
    token = user.with_token(*ALL)
    (session,) = user.expect(200, "GET", "/auth/sessions")["sessions"]
    assert session["is_current"]
    user.problem(404, "not_found", "DELETE", f"/auth/sessions/{token.created['id']}")
    user.problem(404, "not_found", "DELETE", f"/auth/tokens/{session['id']}")
    assert user.expect(200, "DELETE", "/auth/sessions") == {"ended": 0}
    token.expect(200, "GET", "/tasks")


def test_logins_beyond_their_quota_end_no_token(
    user: Api, settings: Settings, contract: Contract
) -> None:
    token = user.with_token(*ALL)
    with worker(settings, quota_sessions=1) as app:
        limited = person(app, contract, like=user)
        for _ in range(3):
            limited.again()
    token.expect(200, "GET", "/tasks")


def test_a_token_cannot_log_out(user: Api) -> None:
    token = user.with_token(*ALL)
    token.problem(403, "insufficient_scope", "POST", "/auth/logout")
    token.expect(200, "GET", "/tasks")


def test_a_token_survives_a_logout_and_a_password_change_unless_it_is_revoked_with_it(
    user: Api,
) -> None:
    token, other = user.with_token(*ALL), user.again()
    other.expect(200, "POST", "/auth/logout")
    body = {"current_password": PASSWORD, "new_password": "another good one"}
    user.expect(200, "POST", "/auth/password", json=body)
    token.expect(200, "GET", "/tasks")
    body = {"current_password": "another good one", "new_password": PASSWORD}
    user.expect(200, "POST", "/auth/password", json=body | {"revoke_tokens": True})
    token.problem(401, "session_ended", "GET", "/tasks")
    user.expect(200, "GET", "/tasks")


def test_a_deleted_account_has_no_token(user: Api, other_worker: Flask, contract: Contract) -> None:
    token = user.with_token(*ALL)
    elsewhere = _elsewhere(other_worker, contract, token)
    elsewhere.expect(200, "GET", "/tasks")
    user.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    elsewhere.problem(401, "session_ended", "GET", "/tasks")
    token.problem(401, "token_invalid", "GET", "/tasks")


def test_the_last_use_is_written_at_most_once_a_minute(
    user: Api, settings: Settings, other_worker: Flask, contract: Contract
) -> None:
    token = user.with_token("tasks:read")
    (unused,) = _tokens(user)
    assert unused["last_used_at"] is None
    token.expect(200, "GET", "/tasks")
    (used,) = _tokens(user)
    assert used["last_used_at"] is not None
    token.expect(200, "GET", "/tasks")
    _elsewhere(other_worker, contract, token).expect(200, "GET", "/tasks")
    assert _tokens(user) == [used]
    earlier = "UPDATE sessions SET last_used_at = last_used_at - interval '61 s' WHERE id = %s"
    sql(settings, earlier, token.created["id"])
    with worker(settings) as third:
        _elsewhere(third, contract, token).expect(200, "GET", "/tasks")
    (again,) = _tokens(user)
    assert again["last_used_at"] >= used["last_used_at"]


def test_a_request_with_a_known_token_takes_one_round_trip(
    database_url: str, settings: Settings, contract: Contract, user: Api
) -> None:
    token = user.with_token("tasks:read", "tasks:write")
    with (
        wire.tapped(database_url) as line,
        worker(databases.settings_for(line.url, database_pool_size=1)) as app,
    ):
        client = person(app, contract, like=token)
        counted = []
        for method, body in (("GET", {}), ("GET", {}), ("POST", {"json": {"title": "a"}})):
            with line.watched() as traffic:
                client.send(method, "/tasks", **body)
            counted.append(traffic.round_trips)
    assert counted == [3, 1, 1]


def test_a_token_is_no_refresh_token_and_names_no_device(user: Api) -> None:
    token = user.with_token(*ALL).created["token"]
    body = {"refresh_token": token}
    user.problem(401, "token_invalid", "POST", "/auth/refresh", json=body)
