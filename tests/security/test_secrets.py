"""Secrets are in no log line and no error, whatever is sent and whatever fails."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from support.api import new_email
from support.attackers import exchange, log_in, records
from support.servers import Service

pytestmark = pytest.mark.security

JSON = {"Content-Type": "application/json"}
OF_THE_DATABASE = "canary-of-a-trigger"
OF_THE_INSIDE = [
    "psycopg",
    "Traceback",
    "SELECT ",
    "INSERT ",
    "tasks_",
    "relation",
    "site-packages",
]
"""Words that no error may contain."""


class Secrets(NamedTuple):
    """The secrets of one user."""

    email: str
    password: str
    next_password: str
    title: str
    key: str
    access: str
    refresh: str

    def words(self) -> list[str]:
        """What to look for; a token's parts too, but for its header, which all have."""
        return [*self[1:5], *self.access.split(".")[1:], self.refresh.removeprefix("tr_")]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}", "Idempotency-Key": self.key}

    @property
    def everything(self) -> dict[str, str]:
        return self._asdict()


@pytest.fixture
def errors(attacker: httpx.Client) -> list[str]:
    """Heads and bodies of all refusals that the attacker gets."""
    found: list[str] = []

    def keep(answer: httpx.Response) -> None:
        answer.read()
        if answer.is_error:
            found.append(f"{answer.headers}\n{answer.text}")

    attacker.event_hooks["response"].append(keep)
    return found


@pytest.fixture
def private_life(attacker: httpx.Client, errors: list[str]) -> Secrets:
    marks = {name: f"canary{secrets.token_hex(8)}" for name in Secrets._fields}
    account = {"email": new_email(), "password": marks["password"]}
    login = attacker.post("/auth/register", json=account).raise_for_status().json()
    marks |= {"email": account["email"], "access": login["access_token"]}
    return Secrets(**marks | {"refresh": login["refresh_token"]})


def _use(client: httpx.Client, mine: Secrets) -> None:
    """All calls in order, as they are meant."""
    task = {"title": mine.title, "description": mine.title}
    client.post("/tasks", json=task, headers=mine.headers).raise_for_status()
    client.post("/tasks", json=task, headers=mine.headers).raise_for_status()
    page = client.get("/tasks?sort=title&limit=1", headers=mine.headers).raise_for_status().json()
    path = f"/tasks/{page['tasks'][0]['id']}"
    client.patch(path, json=task, headers=mine.headers).raise_for_status()
    log_in(client, mine.email, mine.password).raise_for_status()
    client.post("/auth/refresh", json={"refresh_token": mine.refresh}).raise_for_status()


def _misuse(client: httpx.Client, mine: Secrets) -> None:
    """All calls with every secret in wrong places and wrong forms."""
    shown, headers = mine.everything, mine.headers
    for method, path in (
        *[("POST", f"/auth/{name}") for name in ("register", "login", "refresh", "password")],
        *[("POST", "/auth/delete"), ("POST", "/tasks"), ("PUT", "/tasks/1"), ("PATCH", "/tasks/1")],
    ):
        text = str(shown)
        client.request(method, path, json={"title": shown, "password": shown}, headers=headers)
        client.request(method, path, content=text, headers=headers | JSON)
        client.request(method, path, content=f'{{"password": "{text}', headers=headers | JSON)
        client.request(method, path, content=text, headers=headers | {"Content-Type": "text/plain"})
        client.request(method, path, content=text.ljust(300_000), headers=headers | JSON)
    for word in mine.words():
        client.get("/tasks", headers={"Authorization": f"Bearer {word}"})
        client.get("/tasks", headers={"Authorization": f"Basic {word}"})
        client.get("/tasks", headers=headers | {"If-None-Match": word, "User-Agent": word})
        client.get(f"/{word}")
        client.get(f"/tasks/{word}", headers=headers)
        client.get(f"/tasks?cursor={word}", headers=headers)
        client.post("/auth/refresh", json={"refresh_token": word})
        log_in(client, mine.email, f"not {word}"[:100])
    client.post("/tasks", json={"title": "Another"}, headers=headers)
    client.post(
        "/tasks", json={"title": "x"}, headers=headers | {"Idempotency-Key": f"{mine.key}\\"}
    )


def _break_off(service: Service, mine: Secrets) -> list[str]:
    """What gunicorn itself refuses, or never gets the whole of; its answers."""
    token = f"Authorization: Bearer {mine.access}\r\n"
    line = f"GET /tasks?access_token={mine.access} HTTP/1.1\r\n"
    body = f'{{"title": "{mine.title}", "password": "{mine.password}"}}'
    as_json = "Content-Type: application/json\r\n"
    requests = [
        f"GET /tasks?access_token={mine.access}\r\n\r\n",
        f"GET /tasks?access_token={mine.access} HTTP/7.1\r\n{token}\r\n",
        f"G{{}}T {mine.access} HTTP/1.1\r\n\r\n",
        f"{line}{token}",
        f"{line}{token}Broken {mine.refresh}\r\n\r\n",
        f"{line}{token}Broken: {mine.refresh}\0\r\n\r\n",
        f"{line}Bad Name: {mine.refresh}\r\n\r\n",
        f"{line}Authorization : Bearer {mine.access}\r\n\r\n",
        f"{line}X: y\r\n {mine.refresh}\r\n\r\n",
        f"{line}{token}" + "X: y\r\n" * 200 + "\r\n",
        f"{line}{token}X: {mine.refresh * 200}\r\n\r\n",
        f"GET /{mine.access * 50} HTTP/1.1\r\n\r\n",
        f"{line}{token}Expect: {mine.refresh}\r\n\r\n",
        f"POST /tasks HTTP/1.1\r\n{token}Transfer-Encoding: {mine.key}\r\n\r\n{body}",
        f"POST /tasks HTTP/1.1\r\n{token}Transfer-Encoding: chunked\r\n\r\n{mine.title}\r\n{body}",
        f"POST /tasks HTTP/1.1\r\n{token}Content-Length: {mine.key}\r\n\r\n{body}",
        f"POST /tasks HTTP/1.1\r\n{token}Content-Length: 9\r\nContent-Length: 8\r\n\r\n{body}",
        f"POST /tasks HTTP/1.1\r\n{token}{as_json}Content-Length: {len(body) + 9}\r\n\r\n{body}",
    ]
    return [exchange(service, request.encode()) for request in requests]


def _stalled(service: Service, mine: Secrets) -> socket.socket:
    """A connection on which a body does not come to its end."""
    address = urlsplit(service.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=30)
    head = f"POST /tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mine.access}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
    connection.sendall(f'{head}{{"title": "{mine.title}'.encode())
    return connection


@contextmanager
def _failing(private: str) -> Iterator[psycopg.Connection]:
    """While every write to tasks and accounts fails, by a trigger that says what it should not."""
    with psycopg.connect(private, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE '{OF_THE_DATABASE} %', to_json(NEW); END $$"
        )
        for table in ("tasks", "users", "sessions"):
            connection.execute(
                f"CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION fail()"
            )
        try:
            yield connection
        finally:
            connection.execute("DROP FUNCTION fail CASCADE")


def _write(client: httpx.Client, mine: Secrets) -> list[httpx.Response]:
    """Calls that write, each of which must fail now."""
    task, headers = {"title": mine.title}, mine.headers
    change = {"current_password": mine.password, "new_password": mine.next_password}
    account = {"email": new_email(), "password": mine.password}
    return [
        client.post("/tasks", json=task, headers=headers | {"Idempotency-Key": f"{mine.key}2"}),
        client.post("/tasks", json=task, headers={"Authorization": headers["Authorization"]}),
        client.post("/auth/password", json=change, headers=headers),
        client.post("/auth/register", json=account),
        log_in(client, mine.email, mine.password),
    ]


def _in_none(texts: list[str], words: list[str]) -> None:
    """See that no text has one of these words, and say where one is without saying all of it."""
    for text in texts:
        for word in words:
            place = text.find(word)
            assert place < 0, text[max(0, place - 300) : place + len(word)]


def test_secrets_are_neither_logged_nor_returned(
    service: Service,
    attacker: httpx.Client,
    private_life: Secrets,
    errors: list[str],
    record_property: Callable[[str, object], None],
) -> None:
    with _stalled(service, private_life) as connection:
        _use(attacker, private_life)
        _misuse(attacker, private_life)
        answers = [*_break_off(service, private_life), *errors]
        answers.append(connection.recv(65_536).decode())
        assert answers[-1].startswith("HTTP/1.1 408 ")
    _in_none([service.log.read_text(), *answers], private_life.words())
    record_property("refusals", len(answers))
    record_property("log lines", len(records(service)))
    assert len(answers) > 100


def test_a_database_failure_reveals_nothing(
    service: Service,
    attacker: httpx.Client,
    private: str,
    private_life: Secrets,
    errors: list[str],
    run_folder: Path,
) -> None:
    with _failing(private):
        assert {answer.status_code for answer in _write(attacker, private_life)} == {500}
    with psycopg.connect(private, autocommit=True) as connection:
        connection.execute("ALTER TABLE tasks RENAME title TO heading")
        reads = [
            attacker.get(path, headers=private_life.headers) for path in ("/tasks", "/tasks/1")
        ]
        connection.execute("ALTER TABLE tasks RENAME heading TO title")
        assert {answer.status_code for answer in reads} == {500}
    said = [service.log.read_text(), *errors]
    _in_none(said, [*private_life.words(), OF_THE_DATABASE])
    _in_none(errors, OF_THE_INSIDE)
    of_the_server = (run_folder / "server" / "postgres.log").read_text()
    statements = [line for line in of_the_server.splitlines() if OF_THE_DATABASE not in line]
    assert any(re.search("INSERT INTO tasks", line) for line in statements)
    _in_none(statements, private_life.words())
    assert attacker.get("/tasks", headers=private_life.headers).status_code == 200


def test_an_unresponsive_database_reveals_nothing(
    service: Service, attacker: httpx.Client, private: str, private_life: Secrets, errors: list[str]
) -> None:
    with psycopg.connect(private) as other:
        other.execute("LOCK TABLE tasks, users, sessions IN ACCESS EXCLUSIVE MODE")
        answers = [answer.status_code for answer in _write(attacker, private_life)]
        other.rollback()
    assert set(answers) == {503}
    _in_none([service.log.read_text(), *errors], private_life.words())
    _in_none(errors, OF_THE_INSIDE)
