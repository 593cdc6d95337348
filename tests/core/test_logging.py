"""Logs: one line per record, with the request ID and the event, without private data."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from logging.config import dictConfig
from typing import Any

import pytest
from support.api import PASSWORD, Api, new_email
from support.contract import Contract
from support.world import person, sql, worker
from werkzeug.test import TestResponse

from config import Settings
from taskapi.logs import logging_config

pytestmark = pytest.mark.security

CANARY = "canary-8d1f"
NEW_ID = re.compile(r"[0-9a-f]{24}")


class Log:
    """The lines that the application has written since the last call."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def lines(self) -> list[str]:
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        assert text == "" or text.endswith("\n")
        return text.split("\n")[:-1]

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


@contextmanager
def logged(settings: Settings, contract: Contract, **changes: Any) -> Iterator[tuple[Api, Log]]:
    """A new user of an application that logs into a string, and that log."""
    log = Log()
    with worker(settings, **changes) as app:
        (handler,) = logging.getLogger().handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(log.stream)
        try:
            api = person(app, contract).registered()
            log.lines()
            yield api, log
        finally:
            dictConfig(logging_config(settings))


@pytest.fixture
def watched(settings: Settings, contract: Contract) -> Iterator[tuple[Api, Log]]:
    with logged(settings, contract) as both:
        yield both


@contextmanager
def forbidden_by_database(settings: Settings, table: str, rule: str) -> Iterator[None]:
    """Make all writes fail by an unknown constraint while the block runs."""
    sql(settings, f"ALTER TABLE {table} ADD CONSTRAINT surprise CHECK ({rule}) NOT VALID")
    try:
        yield
    finally:
        sql(settings, f"ALTER TABLE {table} DROP CONSTRAINT surprise")


def test_a_request_is_one_line_of_json(watched: tuple[Api, Log]) -> None:
    api, log = watched
    task = api.task()
    log.lines()
    response = api.send("GET", f"/tasks/{task['id']}?")
    (record,) = log.records()
    logged_at = datetime.fromisoformat(record.pop("time"))
    assert logged_at.utcoffset() == timedelta(0)
    assert record.pop("duration_ms") >= record.pop("database_ms") > 0
    assert record == {
        "level": "INFO",
        "logger": "taskapi.request",
        "message": "request",
        "method": "GET",
        "route": "/tasks/<id:task_id>",
        "status": 200,
        "user_id": api.user_id,
        "request_id": response.headers["X-Request-ID"],
    }


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/livez", "/livez", 200),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/tasks", None, 405),
        ("GET", "/tasks", "/tasks", 401),
        ("GET", "/problems/forbidden", "/problems/<code>", 200),
        ("POST", "/auth/login", "/auth/login", 400),
        ("OPTIONS", "/tasks", "/tasks", 200),
    ],
)
def test_a_request_without_database_and_user_logs_both_as_such(
    watched: tuple[Api, Log], method: str, path: str, route: str | None, status: int
) -> None:
    api, log = watched
    Api(api.client, api.contract).send(method, path)
    (record,) = log.records()
    assert (record["method"], record["route"], record["status"]) == (method, route, status)
    assert (record["user_id"], record["database_ms"]) == (None, 0)


@pytest.mark.parametrize(
    "sent", ["a", "0", "A-b_c.9", "x" * 64, "550e8400-e29b-41d4-a716-446655440000"]
)
def test_a_well_formed_request_id_is_used(watched: tuple[Api, Log], sent: str) -> None:
    api, log = watched
    for path in ("/tasks", "/tasks/9007199254740991"):
        response = api.send("GET", path, headers={"X-Request-ID": sent})
        assert response.headers.getlist("X-Request-ID") == [sent]
        assert response.get_json().get("request_id", sent) == sent
        assert [record["request_id"] for record in log.records()] == [sent]


@pytest.mark.parametrize(
    "sent",
    ["", " ", "x" * 65, "a b", "a\nb", "a\r\nSet-Cookie: x=1", "ä", "a;b", "<b>", "a/b", '"', "\0"],
)
def test_any_other_request_id_is_replaced(watched: tuple[Api, Log], sent: str) -> None:
    api, log = watched
    environ = {"HTTP_X_REQUEST_ID": sent}
    ids = {
        api.send("GET", "/tasks", environ_overrides=environ).headers["X-Request-ID"]
        for _ in range(2)
    }
    assert len(ids) == 2
    assert all(NEW_ID.fullmatch(one) for one in ids)
    assert {record["request_id"] for record in log.records()} == ids


def test_an_errors_request_id_is_in_header_body_and_log(
    settings: Settings, watched: tuple[Api, Log]
) -> None:
    api, log = watched
    bare = Api(api.client, api.contract)
    responses = [
        bare.send("GET", "/tasks"),
        api.send("POST", "/tasks", json={}),
        api.send("GET", "/nowhere"),
        api.send("PUT", "/tasks", json={}),
        api.send("POST", "/tasks", data="x", content_type="text/plain"),
    ]
    with forbidden_by_database(settings, "tasks", "false"):
        responses.append(api.send("POST", "/tasks", json={"title": "Never"}))
    assert [response.status_code for response in responses] == [401, 400, 404, 405, 415, 500]
    ids = [response.headers["X-Request-ID"] for response in responses]
    assert [response.get_json()["request_id"] for response in responses] == ids
    records = log.records()
    assert [r["request_id"] for r in records if r["message"] == "request"] == ids
    (failed,) = [record for record in records if record["message"] == "failed"]
    assert (failed["level"], failed["request_id"]) == ("ERROR", ids[-1])
    assert (failed["error"], failed["sqlstate"]) == ("CheckViolation", "23514")
    assert "content_table.py" in failed["trace"]


EVERY = {"logger", "request_id", "time"}
EVERY_REQUEST = EVERY | {"message", "method", "route", "status", "duration_ms", "database_ms"}


def _event(log: Log, response: TestResponse) -> dict[str, Any]:
    """The only event of a request, without the common fields.

    A warning is a separate line. Any other event is in the line of the request.
    """
    assert response.status_code != 500, response.get_data(as_text=True)
    request_id = response.headers["X-Request-ID"]
    *warnings, request = [r for r in log.records() if r["request_id"] == request_id]
    assert request["logger"] == "taskapi.request"
    if warnings:
        (warning,) = warnings
        assert (warning["logger"], warning["level"]) == ("taskapi.event", "WARNING")
        assert "event" not in request
        return {k: v for k, v in warning.items() if k not in EVERY}
    fields = {k: v for k, v in request.items() if k not in EVERY_REQUEST and v is not None}
    return fields | {"message": fields.pop("event")}


def test_account_events_are_logged(
    settings: Settings, contract: Contract, watched: tuple[Api, Log]
) -> None:
    api, log = watched
    body = {"email": new_email(), "password": PASSWORD}
    registered = api.send("POST", "/auth/register", json=body)
    user_id = registered.get_json()["user"]["id"]
    who = {"user_id": user_id}
    assert _event(log, registered) == {"level": "INFO", "message": "registered"} | who
    again = api.send("POST", "/auth/register", json=body)
    assert again.status_code == 400
    (refused,) = log.records()
    assert refused["problem"] == "email_taken"
    failed = api.send("POST", "/auth/login", json=body | {"password": "wrong password"})
    masked = {"email": f"{body['email'][0]}***@example.com"}
    assert _event(log, failed) == {"level": "WARNING", "message": "login_failed"} | masked
    logged_in = api.send("POST", "/auth/login", json=body)
    assert _event(log, logged_in) == {"level": "INFO", "message": "logged_in"} | who
    api.login = logged_in.get_json()
    (session_id,) = (
        session["id"]
        for session in api.expect(200, "GET", "/auth/sessions")["sessions"]
        if session["is_current"]
    )
    log.lines()
    change = {"current_password": PASSWORD, "new_password": "another password"}
    changed = api.send("POST", "/auth/password", json=change)
    event = {"level": "INFO", "message": "password_changed", "ended": 1} | who
    assert _event(log, changed) == event
    mistaken = api.send("POST", "/auth/password", json=change)
    event = {"level": "WARNING", "message": "reauthentication_failed"} | who
    assert _event(log, mistaken) == event
    token = {"refresh_token": api.login["refresh_token"]}
    for _ in range(2):
        body = {"refresh_token": api.login["refresh_token"]}
        api.login = api.expect(200, "POST", "/auth/refresh", json=body)
    log.lines()
    earlier = "last_used_at = last_used_at - interval '11 seconds', previous_uses = '{}'"
    sql(settings, f"UPDATE sessions SET {earlier} WHERE id = %s", session_id)
    session = who | {"session_id": session_id}
    reused = api.send("POST", "/auth/refresh", json=token)
    event = {"level": "WARNING", "message": "refresh_token_reused"} | session
    assert _event(log, reused) == event
    sql(settings, "UPDATE sessions SET revoked_at = NULL WHERE id = %s", session_id)
    logged_out = api.send("POST", "/auth/logout")
    assert _event(log, logged_out) == {"level": "INFO", "message": "logged_out"} | session


def test_lines_name_the_personal_access_token_but_not_its_secret(
    watched: tuple[Api, Log], user: Api
) -> None:
    api, log = watched
    log.lines()
    api.login = user.login
    token = api.with_token("tasks:read")
    token_id = token.created["id"]
    (created,) = log.records()
    assert (created["event"], created["token_id"]) == ("token_created", token_id)
    responses = [token.send("GET", "/tasks"), token.send("GET", "/lists")]
    api.expect(204, "DELETE", f"/auth/tokens/{token_id}")
    responses.append(token.send("GET", "/tasks"))
    lines = log.lines()
    assert [response.status_code for response in responses] == [200, 403, 401]
    assert not [line for line in lines if token.created["token"] in line]
    seen = [json.loads(line) for line in lines]
    assert [record["token_id"] for record in seen] == [token_id] * 4
    problems = [record.get("problem") for record in seen]
    assert problems == [None, "insufficient_scope", None, "session_ended"]
    assert seen[2]["event"] == "token_revoked"


def test_task_events_are_logged(watched: tuple[Api, Log], stranger: Api) -> None:
    api, log = watched
    log.lines()
    created = api.send("POST", "/tasks", json={"title": "Water the plants"})
    task_id = created.get_json()["id"]
    path = f"/tasks/{task_id}"
    api.send("PATCH", path, json={"is_completed": True})
    api.send("PATCH", path, json={})
    api.send("DELETE", path)
    mine = [record for record in log.records() if record["user_id"] == api.user_id]
    noted = [(r["user_id"], r.get("event"), r.get("task_id")) for r in mine]
    assert noted == [
        (api.user_id, "task_created", task_id),
        (api.user_id, "task_updated", task_id),
        (api.user_id, None, None),
        (api.user_id, "task_deleted", task_id),
    ]
    what = {"user_id": api.user_id, "task_id": stranger.task()["id"]}
    path = f"/tasks/{what['task_id']}"
    log.lines()
    calls = {"GET": "access", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
    for method, verb in calls.items():
        body = {"json": {"title": "Mine"}} if verb == "update" else {}
        refused = api.send(method, path, **body)
        assert refused.status_code == 403
        event = {"level": "WARNING", "message": "refused", "verb": verb} | what
        assert _event(log, refused) == event


def _send_private_data(settings: Settings, api: Api) -> list[TestResponse]:
    """Send private data in every possible place, including requests that fail."""
    anonymous = Api(api.client, api.contract)
    title = {"title": f"{CANARY} title", "description": f"{CANARY} description"}
    login = {"email": f"{CANARY}{new_email()}", "password": f"{CANARY} password"}
    path = f"/tasks/{api.expect(201, 'POST', '/tasks', json=title)['id']}"
    api.expect(200, "PATCH", path, json=title)
    api.expect(200, "GET", f"/tasks?sort=title&limit=1&cursor={_title_cursor()}")
    anonymous.login = anonymous.expect(201, "POST", "/auth/register", json=login)
    change = {"current_password": login["password"], "new_password": f"{CANARY} new"}
    anonymous.expect(200, "POST", "/auth/password", json=change)
    for wrong in (login, login | {"email": f"x{login['email']}"}):
        anonymous.expect(401, "POST", "/auth/login", json=wrong)
    anonymous.expect(400, "POST", "/auth/register", json=login)
    api.expect(400, "POST", "/tasks", json=title | {CANARY: CANARY})
    api.expect(400, "POST", "/tasks", data=f'{{"{CANARY}": 1,', content_type="application/json")
    api.expect(400, "GET", f"/tasks?{CANARY}={CANARY}")
    api.expect(404, "GET", f"/{CANARY}")
    headers = {"Authorization": f"Bearer {CANARY}", "User-Agent": CANARY, "If-Match": CANARY}
    anonymous.expect(401, "GET", "/tasks", headers=headers)
    anonymous.expect(401, "POST", "/auth/refresh", json={"refresh_token": CANARY})
    token = {"refresh_token": api.login["refresh_token"]}
    api.expect(200, "POST", "/auth/refresh", json=token)
    failures = []
    with ExitStack() as surprises:
        for table, column in (("tasks", "title"), ("users", "email")):
            rule = f"strpos({column}, '{CANARY}') = 0"
            surprises.enter_context(forbidden_by_database(settings, table, rule))
        failures += [
            api.send("POST", "/tasks", json=title),
            api.send("PUT", path, json=title),
            anonymous.send("POST", "/auth/register", json=login | {"email": f"y{login['email']}"}),
        ]
    anonymous.expect(204, "POST", "/auth/delete", json={"password": change["new_password"]})
    return failures


def _title_cursor() -> str:
    place = json.dumps(["title", f"{CANARY} cursor", 1])
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_contains_private_data(
    settings: Settings, contract: Contract, level: str, form: str
) -> None:
    with logged(settings, contract, log_level=level, log_format=form) as (api, log):
        failures = _send_private_data(settings, api)
        text = "\n".join(log.lines())
        tokens = (api.login["access_token"], api.login["refresh_token"])
    assert [response.status_code for response in failures] == [500] * 3
    assert not any(CANARY in response.get_data(as_text=True) for response in failures)
    assert text.count("CheckViolation") == 3
    assert text.count("/auth/login") >= 2
    assert CANARY not in text
    assert "c***@example.com" in text
    for token in tokens:
        assert not any(part in text for part in token.split("."))


def test_the_text_format_is_readable(settings: Settings, contract: Contract) -> None:
    with logged(settings, contract, log_format="text") as (api, log):
        api.task()
        (request,) = log.lines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d INFO    request method='POST' route='/tasks' status=201"
        rf" duration_ms=[\d.]+ database_ms=[\d.]+ user_id={api.user_id}"
        r" event='task_created' task_id=\d+ request_id='[0-9a-f]{24}'",
        request,
    )


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x85", "\u2028"])
def test_input_cannot_add_log_lines(
    settings: Settings, contract: Contract, form: str, end: str
) -> None:
    forged = f"x{end}12:00:00 INFO    forged"
    with logged(settings, contract, log_format=form) as (api, log):
        header = forged.encode().decode("latin-1")
        environ = {"HTTP_USER_AGENT": header, "HTTP_X_REQUEST_ID": header}
        for email in (f"{forged}@example.com", f"ada@{forged}.com", f"ada@example.com{end}x"):
            body = {"email": email, "password": PASSWORD}
            api.expect(400, "POST", "/auth/login", json=body, environ_overrides=environ)
        body = {"email": api.email, "password": "wrong password"}
        api.expect(401, "POST", "/auth/login", json=body, environ_overrides=environ)
        api.expect(404, "GET", f"/{forged}", environ_overrides=environ)
        text = "\n".join(log.lines())
    assert "forged" not in text
    assert len(text.splitlines()) == 6


def test_the_level_decides_what_is_written(settings: Settings, contract: Contract) -> None:
    with logged(settings, contract, log_level="warning") as (api, log):
        api.task()
        assert log.lines() == []
        body = {"email": api.email, "password": "wrong password"}
        api.expect(401, "POST", "/auth/login", json=body)
        assert [record["message"] for record in log.records()] == ["login_failed"]
