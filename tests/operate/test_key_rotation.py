"""Key rotation in the steps of docs/operate.md while clients keep working.

During each step, two instances run on one database, one of them a step ahead, as during a
rolling deployment.
"""

from __future__ import annotations

import itertools
import random
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import pytest
from support import databases
from support.api import PASSWORD, new_email
from support.servers import serving
from support.world import at_once

from taskapi import create_app
from taskapi.auth.tokens import parse_refresh_token

pytestmark = pytest.mark.processes

OLD, NEW = (
    "the old key of a test which is long enough",
    "the new key of a test which is long enough",
)
PEOPLE = 4
SECONDS_OF_USE = 2.0


class Keys(NamedTuple):
    """The signing key of an instance, and the previous keys that it accepts."""

    signing: str
    previous: tuple[str, ...] = ()

    @property
    def known(self) -> set[str]:
        return {self.signing, *self.previous}


STEPS = [Keys(OLD), Keys(OLD, (NEW,)), Keys(NEW, (OLD,)), Keys(NEW)]
IDS = ["add the new key", "swap the two", "take the old one away"]


@dataclass(frozen=True)
class Instance:
    """An instance and its keys."""

    client: httpx.Client
    keys: Keys

    def call(self, status: int, method: str, path: str, **kwargs: Any) -> httpx.Response:
        response = self.client.request(method, path, **kwargs)
        assert response.status_code == status, response.text
        return response

    def me(self, access_token: str) -> int:
        """The status of a request with an access token."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.client.get("/auth/me", headers=headers).status_code

    def refresh(self, refresh_token: str, key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"refresh_token": refresh_token}
        return self.call(200, "POST", "/auth/refresh", json=body, headers=headers)


class Issued(NamedTuple):
    """A response with tokens, the idempotency key and body of its request, and its signing key."""

    response: dict[str, object]
    key: str
    body: dict[str, str]
    signed_with: str


@dataclass
class Person:
    """A client that refreshes continuously on both instances, and stores all tokens."""

    refresh_token: str
    issued: list[Issued] = field(default_factory=list)

    def use(self, until: float, instances: tuple[Instance, Instance]) -> None:
        while time.monotonic() < until:
            here, there = random.sample(instances, 2)
            key, body = str(uuid.uuid4()), {"refresh_token": self.refresh_token}
            login = here.refresh(self.refresh_token, key).json()
            self.issued.append(Issued(login, key, body, here.keys.signing))
            self.refresh_token = login["refresh_token"]
            self._check(self.issued[-1], there)
            time.sleep(0.02)

    def look_back(self, instances: tuple[Instance, Instance]) -> None:
        """Each access token is valid on each instance that has its signing key."""
        for issued, instance in itertools.product(self.issued, instances):
            self._verify(issued, instance)

    def _verify(self, issued: Issued, instance: Instance) -> bool:
        is_known = issued.signed_with in instance.keys.known
        assert instance.me(str(issued.response["access_token"])) == (200 if is_known else 401)
        return is_known

    def _check(self, issued: Issued, instance: Instance) -> None:
        if self._verify(issued, instance):
            again = instance.refresh(issued.body["refresh_token"], issued.key)
            assert again.headers["Idempotency-Replayed"] == "true"
            assert again.json() == issued.response


@contextmanager
def _concurrently(database_url: str, *keys: Keys) -> Iterator[tuple[Instance, Instance]]:
    with _instance(database_url, keys[0]) as one, _instance(database_url, keys[1]) as other:
        yield one, other


@contextmanager
def _instance(database_url: str, keys: Keys) -> Iterator[Instance]:
    settings = {
        "JWT_SECRET_KEY": keys.signing,
        "JWT_PREVIOUS_SECRET_KEYS": ",".join(keys.previous),
        "WEB_CONCURRENCY": "1",
    }
    with serving(database_url, **settings) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield Instance(client, keys)


def _registered(instance: Instance) -> str:
    """The refresh token of a new user."""
    account = {"email": new_email(), "password": PASSWORD}
    login = instance.call(201, "POST", "/auth/register", json=account).json()
    return str(login["refresh_token"])


def _successors(refresh_token: str, instances: tuple[Instance, Instance]) -> list[str]:
    """The results of twenty concurrent refreshes, ten on each instance."""
    calls = [lambda i=instance: i.refresh(refresh_token) for instance in instances * 10]
    return [response.json()["refresh_token"] for response in at_once(calls)]


def test_key_rotation_ends_no_session(database_url: str) -> None:
    people: list[Person] = []
    asleep = ""
    for keys in itertools.pairwise(STEPS):
        with _concurrently(database_url, *keys) as instances:
            if not people:
                asleep = _registered(instances[0])
                people = [Person(_registered(instances[0])) for _ in range(PEOPLE)]
            until = time.monotonic() + SECONDS_OF_USE
            with ThreadPoolExecutor(PEOPLE) as threads:
                for use in [threads.submit(person.use, until, instances) for person in people]:
                    use.result()
            for person in people:
                person.look_back(instances)
    with _instance(database_url, STEPS[-1]) as instance:
        assert instance.me(instance.refresh(asleep).json()["access_token"]) == 200
    signed = {issued.signed_with for person in people for issued in person.issued}
    assert signed == {OLD, NEW}


@pytest.mark.parametrize("keys", list(itertools.pairwise(STEPS)), ids=IDS)
def test_twenty_refreshes_at_two_instances_give_one_successor_at_each_step(
    database_url: str, keys: tuple[Keys, Keys]
) -> None:
    with _concurrently(database_url, *keys) as instances:
        refresh_token = _registered(instances[0])
        for _ in range(10):
            (refresh_token,) = set(_successors(refresh_token, instances))
        for instance in instances:
            login = instance.refresh(refresh_token).json()
            assert instance.me(login["access_token"]) == 200
            refresh_token = login["refresh_token"]


def test_without_the_first_step_sessions_would_be_lost(database_url: str) -> None:
    with _concurrently(database_url, STEPS[0], STEPS[2]) as (behind, ahead):
        refresh_token = _registered(ahead)
        assert behind.me(ahead.refresh(refresh_token).json()["access_token"]) == 401
        body = {"refresh_token": refresh_token}
        behind.call(401, "POST", "/auth/refresh", json=body)


def test_after_a_leak_all_sessions_are_ended(database_url: str) -> None:
    """Whoever has the old key knows the refresh tokens that follow an old one."""
    with _instance(database_url, Keys(OLD)) as instance:
        stolen = _registered(instance)
        access_token = instance.refresh(stolen).json()["access_token"]
    computed = parse_refresh_token(stolen)
    assert computed
    with _instance(database_url, Keys(NEW)) as instance:
        assert instance.me(access_token) == 401
        successor = instance.refresh(str(computed.successor(OLD))).json()
        app = create_app(databases.settings_for(database_url))
        result = app.test_cli_runner().invoke(args=["sessions", "end-all", "--yes"])
        assert result.output.startswith("Ended ")
        assert instance.me(successor["access_token"]) == 401
        body = {"refresh_token": successor["refresh_token"]}
        instance.call(401, "POST", "/auth/refresh", json=body)
