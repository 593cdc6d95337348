"""When a session ends, both of its tokens are invalid immediately on every worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from support.api import PASSWORD
from support.attackers import Person, again, client_of, each_worker, log_in, problem
from support.databases import KEY
from support.servers import ROOT, Service

pytestmark = pytest.mark.security

REFRESHES = 20
OTHER_PASSWORD = "another password"

End = Callable[[Service, str, Person], None]


def _is_alive_everywhere(service: Service, person: Person) -> bool:
    """Whether each worker takes the access token; they have verified it then."""
    return _statuses(service, person) == [200, 200]


def _statuses(service: Service, person: Person) -> list[int]:
    with each_worker(service) as clients:
        return [client.get("/tasks", headers=person.headers).status_code for client in clients]


def _is_dead_everywhere(service: Service, person: Person) -> bool:
    """Whether each worker rejects both tokens with the same error."""
    with each_worker(service) as clients:
        for client in clients:
            access = client.get("/tasks", headers=person.headers)
            refresh = client.post("/auth/refresh", json=person.refresh_token)
            for answer in (access, refresh):
                if answer.status_code != 401:
                    return False
                assert problem(answer, 401)["detail"] == "Invalid token"
    return True


def _refresh(client: httpx.Client, person: Person) -> Person:
    answer = client.post("/auth/refresh", json=person.refresh_token).raise_for_status()
    return person._replace(login=answer.json())


def _pass_the_grace(private: str, person: Person) -> None:
    """Move the last refresh eleven seconds into the past."""
    earlier = "UPDATE sessions SET last_used_at = last_used_at - interval '11 s' WHERE user_id = %s"
    with psycopg.connect(private, autocommit=True) as connection:
        connection.execute(earlier, [person.user_id])


def _post(service: Service, person: Person, path: str, **body: str) -> None:
    with client_of(service) as client:
        client.post(path, json=body, headers=person.headers).raise_for_status()


def _command(database_url: str, *arguments: str, typed: str = "") -> None:
    """Run a command of the administrator in a separate process."""
    environment = {
        "PATH": os.environ["PATH"],
        "FLASK_SKIP_DOTENV": "1",
        "DATABASE_URL": database_url,
        "JWT_SECRET_KEY": KEY,
        "BCRYPT_ROUNDS": "4",
    }
    command = [sys.executable, "-m", "flask", "users", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, input=typed, text=True, check=True)


def _end_it_from_another(service: Service, _: str, person: Person) -> None:
    with client_of(service) as client:
        other = again(client, person)
        client.delete("/auth/sessions", headers=other.headers).raise_for_status()


def _change_the_password_elsewhere(service: Service, _: str, person: Person) -> None:
    change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    with client_of(service) as client:
        _post(service, again(client, person), "/auth/password", **change)


ENDS: dict[str, End] = {
    "logout": lambda service, _, person: _post(service, person, "/auth/logout"),
    "ended from another session": _end_it_from_another,
    "password changed in another session": _change_the_password_elsewhere,
    "account deleted": lambda service, _, person: _post(
        service, person, "/auth/delete", password=PASSWORD
    ),
    "deactivated": lambda _, url, person: _command(url, "deactivate", person.email),
    "password set by who runs it": lambda _, url, person: _command(
        url, "set-password", person.email, typed=f"{OTHER_PASSWORD}\n"
    ),
    "deleted by who runs it": lambda _, url, person: _command(url, "delete", "--yes", person.email),
}


@pytest.mark.parametrize("name", ENDS)
def test_both_tokens_are_invalid_immediately_on_every_worker(
    service: Service, private: str, person: Person, somebody_else: Person, name: str
) -> None:
    assert _is_alive_everywhere(service, person)
    ENDS[name](service, private, person)
    assert _is_dead_everywhere(service, person)
    assert _is_alive_everywhere(service, somebody_else)


def test_a_password_change_keeps_only_its_own_session(
    service: Service, attacker: httpx.Client, person: Person
) -> None:
    other = again(attacker, person)
    _post(service, person, "/auth/password", current_password=PASSWORD, new_password=OTHER_PASSWORD)
    assert _is_dead_everywhere(service, other)
    assert _is_alive_everywhere(service, person)
    assert log_in(attacker, person.email, PASSWORD).status_code == 401
    assert log_in(attacker, person.email, OTHER_PASSWORD).status_code == 200


def test_a_deactivated_account_cannot_log_in_or_refresh(
    attacker: httpx.Client, private: str, person: Person
) -> None:
    _command(private, "deactivate", person.email)
    assert problem(log_in(attacker, person.email, PASSWORD), 403)["code"] == "account_inactive"
    assert problem(log_in(attacker, person.email, "wrong password"), 401)


@pytest.fixture
def crowd(service: Service) -> Iterator[list[httpx.Client]]:
    """Clients of both workers, with a connection each."""
    clients = [client_of(service) for _ in range(REFRESHES)]
    yield clients
    for client in clients:
        client.close()


def test_concurrent_refreshes_get_the_same_successor(
    service: Service, crowd: list[httpx.Client], person: Person
) -> None:
    for client in crowd:
        client.get("/livez")
    with ThreadPoolExecutor(REFRESHES) as threads:
        refreshed = list(threads.map(lambda client: _refresh(client, person), crowd))
    assert len({one.login["refresh_token"] for one in refreshed}) == 1
    assert all(_is_alive_everywhere(service, one) for one in refreshed[:3])
    assert _is_alive_everywhere(service, _refresh(crowd[0], refreshed[0]))


def test_reuse_of_a_refresh_token_ends_the_session_on_every_worker(
    service: Service, attacker: httpx.Client, private: str, person: Person
) -> None:
    elsewhere = again(attacker, person)
    following = _refresh(attacker, person)
    _pass_the_grace(private, person)
    assert _is_alive_everywhere(service, following)
    problem(attacker.post("/auth/refresh", json=person.refresh_token), 401)
    assert _is_dead_everywhere(service, following)
    assert _is_dead_everywhere(service, person)
    assert _is_alive_everywhere(service, elsewhere)


def test_an_older_refresh_token_gets_the_current_one_within_the_grace_period(
    service: Service, attacker: httpx.Client, person: Person
) -> None:
    following = _refresh(attacker, _refresh(attacker, _refresh(attacker, person)))
    again = _refresh(attacker, person)
    assert again.refresh_token == following.refresh_token
    assert _is_alive_everywhere(service, again)


def test_an_older_refresh_token_ends_its_session_after_the_grace_period(
    service: Service, attacker: httpx.Client, private: str, person: Person
) -> None:
    used = _refresh(attacker, person)
    _pass_the_grace(private, used)
    following = _refresh(attacker, _refresh(attacker, used))
    problem(attacker.post("/auth/refresh", json=person.refresh_token), 401)
    assert _is_dead_everywhere(service, following)


def test_a_write_with_an_invalid_token_writes_nothing(
    service: Service, attacker: httpx.Client, private: str, person: Person
) -> None:
    headers = person.headers | {"Idempotency-Key": "after-the-end"}
    _post(service, person, "/auth/logout")
    with each_worker(service) as clients:
        for one in clients:
            answer = one.post("/tasks", json={"title": "Too late"}, headers=headers)
            problem(answer, 401)
    with psycopg.connect(private) as connection:
        for table in ("tasks", "idempotency_keys"):
            count = f"SELECT count(*) FROM {table} WHERE user_id = %s"
            assert connection.execute(count, [person.user_id]).fetchone() == (0,)
