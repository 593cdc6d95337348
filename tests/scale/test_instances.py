"""Two instances behind a load balancer behave like one."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx
import psycopg
import pytest
from scale import haproxy
from support.api import PASSWORD, new_email
from support.place import CREATED, SETTLE, Figures, new_database
from support.servers import Service, started
from support.writers import writing

from taskapi import problems as errors

pytestmark = [pytest.mark.deploy, pytest.mark.alone]

LOGINS_A_MINUTE = 10


class Instances(NamedTuple):
    """Two instances on one database, behind a load balancer."""

    one: Service
    two: Service
    balancer: haproxy.Balancer
    database_url: str


@contextmanager
def running(database_url: str, folder: Path, **settings: str) -> Iterator[Instances]:
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(TemporaryDirectory(dir=folder)))
        behind = {"TRUSTED_PROXY_HOPS": "1", **settings}
        one, two = (stack.enter_context(started(database_url, **behind)) for _ in range(2))
        balancer = stack.enter_context(haproxy.before(one.url, two.url, temporary))
        yield Instances(one, two, balancer, database_url)


HOLD = (
    "SELECT 1 FROM workspaces JOIN users ON users.id = workspaces.id WHERE email = %s"
    " FOR UPDATE OF workspaces"
)


@pytest.fixture(scope="module")
def instances(database_url: str, run_folder: Path) -> Iterator[Instances]:
    with running(database_url, run_folder, RATELIMIT_ENABLED="true") as made:
        yield made


@pytest.fixture
def figures(record_property: object) -> Figures:
    return Figures(record_property)


class Visitor(NamedTuple):
    """A client that connects through the balancer or to either instance."""

    balanced: httpx.Client
    one: httpx.Client
    two: httpx.Client

    def authorize(self, token: str) -> None:
        for client in self:
            client.headers["Authorization"] = f"Bearer {token}"


@contextmanager
def visiting(instances: Instances, address: str) -> Iterator[Visitor]:
    """A client with this address of the loopback network."""
    with ExitStack() as stack:
        transport = httpx.HTTPTransport(verify=instances.balancer.trust, local_address=address)
        balanced = httpx.Client(base_url=instances.balancer.url, transport=transport, timeout=30)
        headers = {"X-Forwarded-For": address}  # through the balancer
        direct = (
            httpx.Client(base_url=one.url, headers=headers, timeout=30)
            for one in (instances.one, instances.two)
        )
        yield Visitor(*(stack.enter_context(one) for one in (balanced, *direct)))


def register(visitor: Visitor) -> str:
    """Continue as a new user. Returns the email."""
    email = new_email()
    account = {"email": email, "password": PASSWORD}
    login = visitor.one.post("/auth/register", json=account).raise_for_status().json()
    visitor.authorize(login["access_token"])
    return email


def kill(service: Service) -> None:
    """Kill it with all its workers, like a machine that loses power."""
    for pid in [service.process.pid, *service.workers()]:
        os.kill(pid, signal.SIGKILL)


def test_both_instances_serve_the_same_data(instances: Instances) -> None:
    with visiting(instances, "127.0.0.31") as visitor:
        register(visitor)
        task = visitor.one.post("/tasks", json={"title": "Shared"}).json()
        for client in visitor:
            assert client.get(f"/tasks/{task['id']}").json() == task
        sessions = visitor.two.get("/auth/sessions").json()["sessions"]
        assert [session["address"] for session in sessions] == ["127.0.0.31"]
        with ThreadPoolExecutor(4) as threads:
            requests = [threads.submit(visitor.balanced.get, "/tasks") for _ in range(40)]
            assert {one.result().status_code for one in requests} == {200}
    logs = [service.log.read_text() for service in (instances.one, instances.two)]
    assert all(log.count('"route":"/tasks"') > 4 for log in logs)


@pytest.mark.parametrize("how", ["logout", "another password", "ended from elsewhere"])
def test_a_session_ended_on_one_instance_is_ended_on_the_other(
    instances: Instances, how: str
) -> None:
    with visiting(instances, "127.0.0.32") as visitor:
        email = register(visitor)
        assert {client.get("/tasks").status_code for client in visitor} == {200}
        account = {"email": email, "password": PASSWORD}
        if how == "logout":
            visitor.one.post("/auth/logout").raise_for_status()
        else:
            other = visitor.one.post("/auth/login", json=account).raise_for_status().json()
            ours = {"Authorization": f"Bearer {other['access_token']}"}
            if how == "another password":
                change = {"current_password": PASSWORD, "new_password": f"{PASSWORD}!"}
                visitor.one.post("/auth/password", json=change, headers=ours).raise_for_status()
            else:
                visitor.one.delete("/auth/sessions", headers=ours).raise_for_status()
        assert [client.get("/tasks").status_code for client in visitor] == [401] * 3
        refused = visitor.two.post("/tasks", json={"title": "Too late"})
        assert refused.json()["code"] == errors.SessionEnded.code


def test_attempts_are_counted_across_instances(instances: Instances) -> None:
    with visiting(instances, "127.0.0.33") as visitor:
        wrong = {"email": register(visitor), "password": "a wrong password"}
        attempts = [visitor.one, visitor.two, visitor.balanced] * 4
        statuses = [client.post("/auth/login", json=wrong).status_code for client in attempts]
        assert statuses == [401] * LOGINS_A_MINUTE + [429] * 2


def test_a_response_of_one_instance_is_replayed_by_the_other(instances: Instances) -> None:
    with visiting(instances, "127.0.0.34") as visitor:
        register(visitor)
        keyed = {"Idempotency-Key": str(uuid.uuid4())}
        first = visitor.one.post("/tasks", json={"title": "Once"}, headers=keyed)
        for client in (visitor.two, visitor.balanced):
            again = client.post("/tasks", json={"title": "Once"}, headers=keyed)
            assert (again.status_code, again.json()) == (CREATED, first.json())
            assert again.headers["Idempotency-Replayed"] == "true"
        other = visitor.two.post("/tasks", json={"title": "Another"}, headers=keyed)
        assert other.json()["code"] == errors.KeyReused.code
        assert visitor.one.get("/tasks").json()["total"] == 1


def test_a_key_in_use_on_one_instance_returns_409_on_the_other(instances: Instances) -> None:
    with (
        visiting(instances, "127.0.0.35") as visitor,
        psycopg.connect(instances.database_url) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        email = register(visitor)
        keyed = {"Idempotency-Key": str(uuid.uuid4())}
        other.execute(HOLD, [email])
        first = threads.submit(visitor.one.post, "/tasks", json={"title": "Slowly"}, headers=keyed)
        time.sleep(0.5)
        second = visitor.two.post("/tasks", json={"title": "Slowly"}, headers=keyed)
        assert (second.status_code, second.json()["code"]) == (409, errors.KeyInUse.code)
        assert not first.done()
        other.rollback()
        assert first.result(10).status_code == CREATED
        third = visitor.two.post("/tasks", json={"title": "Slowly"}, headers=keyed)
        assert third.json() == first.result().json()


def test_killing_an_instance_fails_no_request(run_folder: Path, figures: Figures) -> None:
    """Each write has a key, so those of the killed instance are retried on the other."""
    with (
        new_database(run_folder / f"instances-{os.getpid()}") as url,
        running(url, run_folder, DATABASE_PREPARE="true") as instances,
        writing(instances.balancer.url, instances.balancer.trust) as writers,
    ):
        time.sleep(SETTLE)
        kill(instances.one)
        killed = time.monotonic()
        time.sleep(2 * SETTLE)
    figures.add_writers(writers, back_after=killed)
    assert sum(outcome.answered < killed for outcome in writers.outcomes()) > 0
    # 409: a request of the killed instance is still in progress in the database.
    assert set(writers.statuses()) <= {CREATED, 409}
    assert writers.seconds_until_success(killed) < 2


def test_a_write_without_a_key_is_not_retried(database_url: str, run_folder: Path) -> None:
    """Each instance processes one write when one is killed. Its client gets outcome_unknown."""
    with (
        running(database_url, run_folder) as ours,
        visiting(ours, "127.0.0.36") as visitor,
        psycopg.connect(database_url) as other,
        ThreadPoolExecutor(2) as threads,
    ):
        email = register(visitor)
        other.execute(HOLD, [email])
        # HAProxy closes connections that were used before, as the service would.
        sent = [
            threads.submit(visitor.balanced.post, "/tasks", json={"title": "Perhaps"})
            for _ in range(2)
        ]
        time.sleep(0.5)
        kill(ours.one)
        time.sleep(0.2)
        other.rollback()
        responses = sorted(
            (one.result(10) for one in sent), key=lambda response: response.status_code
        )
        assert responses[0].status_code == CREATED
        _check_problem(responses[1], errors.OutcomeUnknown)
        assert visitor.two.get("/tasks").json()["total"] in {1, 2}


def test_without_any_instance_the_response_is_503_with_retry_after(
    database_url: str, run_folder: Path
) -> None:
    with running(database_url, run_folder) as ours, visiting(ours, "127.0.0.37") as visitor:
        kill(ours.one)
        kill(ours.two)
        _check_problem(visitor.balanced.get("/tasks"), errors.Unavailable)


def _check_problem(response: httpx.Response, problem: type[errors.Problem]) -> None:
    assert response.status_code == problem.status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == "1"
    body = response.json()
    assert (body["status"], body["code"], body["title"]) == (503, problem.code, problem.title)
    assert body["request_id"]
