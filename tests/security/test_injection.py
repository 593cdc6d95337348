"""SQL in all strings of a client is stored as text and never executed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from support.api import new_email
from support.attackers import Person, log_in

pytestmark = pytest.mark.security

SLEEP = 5
STATEMENTS = [
    "'",
    "''",
    "' OR '1'='1",
    "' OR 1=1 --",
    '" OR ""="',
    "1; DROP TABLE tasks; --",
    "'; DROP TABLE users CASCADE; --",
    "' UNION SELECT hashed_password FROM users --",
    "1 UNION SELECT 1, version(), 3, 4, 5, 6, 7, 8",
    f"'; SELECT pg_sleep({SLEEP}); --",
    f"' || pg_sleep({SLEEP}) || '",
    f"1 AND 1 = (SELECT 1 FROM pg_sleep({SLEEP}))",
    f"(SELECT CASE WHEN true THEN pg_sleep({SLEEP}) END)",
    "$$; DELETE FROM tasks; $$",
    "$tag$ || current_user || $tag$",
    "E'\\'; DELETE FROM users; --'",
    "\\'; DELETE FROM users; --",
    "U&'\\0027' OR true --",
    "'; COPY tasks TO PROGRAM 'touch /tmp/taskapi-was-here'; --",
    "'; SELECT lo_import('/etc/passwd'); --",
    "'; SELECT pg_read_file('/etc/passwd'); --",
    "'; ALTER ROLE postgres PASSWORD 'x'; --",
    "'; SET ROLE postgres; NOTIFY x, 'y'; --",
    "/**/OR/**/1=1",
    "CAST(version() AS int)",
    "%s %(id)s %d %% {0} {id} :id :id::text $1 $2 ? ??",
    "title = title; --",
    "created_at desc, (SELECT 1)",
    "-created_at'",
    "1e0::int",
    "NULL",
    "\ufe62'\uff07 OR \u02bc1\u02bc=\u02bc1",
]


def _named(text: str) -> str:
    """What a case is called; two colons would end a test's name."""
    return ascii(text).replace("::", ": :")


@pytest.fixture
def untouched(private: str, person: Person) -> Any:
    """Sees that accounts, tables and roles are those of before."""

    def look() -> list[Any]:
        with psycopg.connect(private) as connection:
            return [
                connection.execute(question).fetchall()
                for question in (
                    "SELECT relname, relnatts FROM pg_class WHERE relkind = 'r' ORDER BY 1",
                    "SELECT rolname, rolpassword FROM pg_authid ORDER BY 1",
                    "SELECT id, email, hashed_password, is_active FROM users ORDER BY 1",
                    "SELECT oid FROM pg_largeobject_metadata",
                )
            ]

    return look


def _sent(attacker: httpx.Client, person: Person, text: str) -> list[httpx.Response]:
    """The answers to requests that carry the text wherever one can."""
    mine, in_address = person.headers, quote(text, safe="")
    in_header = text.encode()
    of_the_query = [f"{name}={in_address}" for name in ("limit", "cursor", "sort", "is_completed")]
    calls: list[tuple[str, str, dict[str, Any]]] = [
        *[("GET", f"/tasks?{query}", {}) for query in of_the_query],
        *[("GET", f"/auth/sessions?{query}", {}) for query in of_the_query],
        ("GET", f"/tasks?{in_address}=1", {}),
        *[(method, f"/tasks/{in_address}", {}) for method in ("GET", "DELETE")],
        ("DELETE", f"/auth/sessions/{in_address}", {}),
        ("GET", f"/problems/{in_address}", {}),
        ("GET", f"/{in_address}", {}),
        *[("GET", "/tasks", {"headers": {name: in_header}}) for name in HEADERS],
        *[("POST", "/tasks", {"headers": {name: in_header}, "json": TASK}) for name in HEADERS],
        ("PATCH", "/tasks/1", {"headers": {"If-Match": in_header}, "json": TASK}),
        *[("POST", "/tasks", {"json": TASK | {name: text}}) for name in (*TASK, "id", text)],
        ("POST", "/auth/refresh", {"json": {"refresh_token": text}}),
        ("POST", "/auth/delete", {"json": {"password": text.ljust(8)}}),
        ("GET", "/tasks", {"headers": {"Authorization": b"Bearer " + in_header}}),
        ("GET", "/tasks", {"headers": {"Authorization": in_header}}),
    ]
    answers = [
        attacker.request(method, path, **{**sent, "headers": mine | sent.get("headers", {})})
        for method, path, sent in calls
    ]
    emails = (text, f"{text}@example.com", f'"{text}"@example.com', person.email + text)
    return answers + [log_in(attacker, email, text.ljust(8)) for email in emails]


HEADERS = ("If-None-Match", "Idempotency-Key", "User-Agent", "X-Request-ID", "Host", "Origin")
TASK = {"title": "Water the plants", "description": None, "is_completed": False}


@pytest.mark.parametrize("text", STATEMENTS, ids=_named)
def test_sql_in_strings_is_not_executed(
    attacker: httpx.Client,
    person: Person,
    untouched: Any,
    text: str,
    record_property: Callable[[str, object], None],
) -> None:
    before = untouched()
    begun = time.monotonic()
    answers = _sent(attacker, person, text)
    assert time.monotonic() - begun < SLEEP
    assert {answer.status_code for answer in answers} <= {200, 201, 304, 400, 401, 403, 404, 412}
    assert untouched() == before
    record_property("requests", len(answers))


@pytest.mark.parametrize("text", STATEMENTS, ids=_named)
def test_sql_in_strings_is_stored_as_text(
    attacker: httpx.Client, person: Person, text: str
) -> None:
    title, description = text.strip(), f" {text}\n"
    made = attacker.post(
        "/tasks", json={"title": title, "description": description}, headers=person.headers
    )
    assert made.status_code == 201
    task = made.json()
    for sort in ("title", "-title", "updated_at", "created_at"):
        page = attacker.get(f"/tasks?sort={sort}&limit=1", headers=person.headers).json()
        assert page["tasks"] == [task]
    assert (task["title"], task["description"]) == (title, description)
    path = f"/tasks/{task['id']}"
    again = attacker.put(path, json={"title": title}, headers=person.headers).json()
    assert (again["title"], again["description"]) == (title, description)


@pytest.mark.parametrize("text", STATEMENTS, ids=_named)
def test_a_password_can_be_sql(attacker: httpx.Client, text: str) -> None:
    password = f"{text}{text}".ljust(8)[:100]
    account = {"email": new_email(), "password": password}
    assert attacker.post("/auth/register", json=account).status_code == 201
    assert log_in(attacker, account["email"], password).status_code == 200
    assert log_in(attacker, account["email"], f"{password[:-1]}#").status_code == 401
