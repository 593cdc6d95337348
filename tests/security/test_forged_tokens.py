"""Forged access tokens are rejected by all operations on both workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from support.attackers import Person, each_worker, exchange, problem, routes
from support.attempts import new_address
from support.forgery import FORGERIES, parts_of, signed
from support.servers import Service, started

pytestmark = pytest.mark.security

INVALID = 'Bearer realm="taskapi", error="invalid_token"'
EXPIRED = f'{INVALID}, error_description="expired"'
SENDABLE = [name for name in FORGERIES if name not in ("latin", "8 kB")]
"""httpx sends ASCII alone, and a header of more than 8 kB never reaches a call."""


CODES = ("token_invalid", "token_expired", "session_ended")
"""The last one is for tokens with a valid signature, which name no live session."""


@pytest.fixture(scope="module")
def service(private: str) -> Iterator[Service]:
    """A service behind a proxy, which names the client: many 401s to one client are delayed."""
    with started(private, WEB_CONCURRENCY="2", TRUSTED_PROXY_HOPS="1") as service:
        yield service


def _refused_everywhere(client: httpx.Client, token: str, challenge: str) -> int:
    """The number of operations that need a token. Each must reject this one."""
    protected = [route for route in routes(client) if route.needs_token]
    for route in protected:
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": new_address()}
        answer = client.request(route.method, route.path, headers=headers, **route.body)
        assert problem(answer, 401)["code"] in CODES
        assert answer.headers["WWW-Authenticate"] == challenge
    return len(protected)


@pytest.mark.parametrize("name", SENDABLE)
def test_no_operation_accepts_a_forged_token(
    attacker: httpx.Client,
    person: Person,
    name: str,
    record_property: Callable[[str, object], None],
) -> None:
    token = FORGERIES[name](parts_of(person.login["access_token"]))
    calls = _refused_everywhere(attacker, token, INVALID)
    record_property("calls", calls)
    assert calls > 10
    assert attacker.get("/auth/me", headers=person.headers).status_code == 200


def test_no_operation_accepts_an_expired_token(attacker: httpx.Client, person: Person) -> None:
    header, claims = parts_of(person.login["access_token"])
    over = signed(header, claims | {"exp": int(time.time()) - 1})
    assert _refused_everywhere(attacker, over, EXPIRED) > 10


def test_no_operation_accepts_a_refresh_token(attacker: httpx.Client, person: Person) -> None:
    assert _refused_everywhere(attacker, person.login["refresh_token"], INVALID) > 10


def test_no_operation_accepts_the_session_of_another_user(
    attacker: httpx.Client, person: Person, somebody_else: Person
) -> None:
    header, claims = parts_of(person.login["access_token"])
    _, theirs = parts_of(somebody_else.login["access_token"])
    for mixed in (claims | {"sid": theirs["sid"]}, claims | {"sub": theirs["sub"]}):
        assert _refused_everywhere(attacker, signed(header, mixed), INVALID) > 10


def test_a_forgery_of_a_verified_token_is_rejected_by_both_workers(
    service: Service, person: Person
) -> None:
    """A worker caches verified tokens; a forgery must not match a cached one."""
    token = person.login["access_token"]
    for forged in (token[:-1], token + "A", token[:-2] + ("AA" if token[-2:] != "AA" else "BB")):
        with each_worker(service) as clients:
            for client in clients:
                assert client.get("/tasks", headers=person.headers).status_code == 200
                answer = client.get("/tasks", headers={"Authorization": f"Bearer {forged}"})
                problem(answer, 401)


@pytest.mark.parametrize("size", [8_000, 8_300, 70_000])
def test_an_oversized_token_is_a_problem_response(service: Service, size: int) -> None:
    authorization = "Authorization: Bearer " + "x" * size
    answer = exchange(
        service, f"GET /tasks HTTP/1.1\r\nHost: x\r\n{authorization}\r\n\r\n".encode()
    )
    status = "401" if size < 8_190 else "431"
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert "Content-Type: application/problem+json\r\n" in answer
