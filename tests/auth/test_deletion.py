"""Deletion of an account: closed at once, its rows deleted in small steps."""

from __future__ import annotations

import pytest
from flask import Flask
from support import world
from support.api import PASSWORD, Api, new_email

from config import Settings
from taskapi.auth import reauthentication
from taskapi.extensions import Model

TABLES = [
    table
    for table in Model.metadata.sorted_tables
    if "workspace_id" in table.c and table.name not in ("memberships", "invitations")
]
"""The tables of content. Personal workspaces have no members."""

MANY = 3_500

FILL = """
INSERT INTO tasks (workspace_id, user_id, title, version, label_ids)
SELECT %s, %s, n::text, 1, %s FROM generate_series(1, %s) n
"""


def rows_of(settings: Settings, user_id: int) -> dict[str, int]:
    """How many rows an account has, by table; tables without any are left out."""
    counted = {
        table.name: world.sql(
            settings, f"SELECT count(*) FROM {table.name} WHERE workspace_id = %s", user_id
        )[0][0]
        for table in TABLES
    }
    found = world.sql(settings, "SELECT count(*) FROM users WHERE id = %s", user_id)[0][0]
    return {name: count for name, count in {**counted, "users": found}.items() if count}


def fill(settings: Settings, user: Api) -> None:
    """Rows of each kind, subtasks among them, and more tasks than one step deletes."""
    label = user.label()
    parent = user.recurring(label_ids=[label["id"]])
    child = user.task(parent_id=parent["id"])
    # An older task below a younger one.
    user.expect(200, "POST", f"/tasks/{child['id']}/move", json={"parent_id": None})
    user.expect(200, "POST", f"/tasks/{parent['id']}/move", json={"parent_id": child["id"]})
    user.filter()
    user.comment(parent["id"])
    headers = {"Idempotency-Key": "a-key"}
    user.expect(201, "POST", "/tasks", json={"title": "Water"}, headers=headers)
    world.sql(settings, FILL, user.user_id, user.user_id, [label["id"]], MANY)


@pytest.fixture
def full(settings: Settings, user: Api) -> Api:
    fill(settings, user)
    found = rows_of(settings, user.user_id)
    assert set(found) == {table.name for table in TABLES} | {"users"}
    return user


def test_an_account_is_closed_at_once_however_many_rows_it_has(
    app: Flask, settings: Settings, full: Api, anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = new_email()
    changed = (
        "INSERT INTO email_changes (user_id, old_email, new_email, confirmed_at, expires_at)"
        " VALUES (%s, %s, %s, now(), now() + interval '7 days')"
    )
    world.sql(settings, changed, full.user_id, earlier, full.email)
    taken = {"email": earlier, "password": PASSWORD}
    anonymous.problem(400, "email_taken", "POST", "/auth/register", json=taken)
    monkeypatch.setattr(reauthentication, "_DELETION_SECONDS", 0.0)
    full.expect(200, "PATCH", "/auth/me", json={"name": "Ada Lovelace"})
    other = full.again()
    full.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    assert rows_of(settings, full.user_id)["tasks"] >= MANY - 1_000
    kept = "SELECT email, name, hashed_password FROM users WHERE id = %s"
    assert world.sql(settings, kept, full.user_id) == [(None, None, "")]
    for api in (full, other):
        api.problem(401, "session_ended", "GET", "/tasks")
        body = {"refresh_token": api.login["refresh_token"]}
        api.problem(401, "session_ended", "POST", "/auth/refresh", json=body)
    body = {"email": full.email, "password": PASSWORD}
    anonymous.problem(401, "invalid_credentials", "POST", "/auth/login", json=body)
    assert full.email not in app.test_cli_runner().invoke(args=["users", "list"]).output
    anonymous.login = anonymous.expect(201, "POST", "/auth/register", json=body)
    assert anonymous.expect(200, "GET", "/tasks")["total"] == 0

    purged = app.test_cli_runner().invoke(args=["purge"])
    assert "\n1 deleted accounts" in purged.output
    assert rows_of(settings, full.user_id) == {}
    anonymous.expect(200, "GET", "/auth/me")
    anonymous.expect(201, "POST", "/auth/register", json=taken)


def test_the_rows_are_deleted_with_the_request_if_there_is_time(
    settings: Settings, full: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reauthentication, "_DELETION_SECONDS", 60.0)
    full.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    assert rows_of(settings, full.user_id) == {}


def test_a_login_that_waits_for_the_deletion_is_refused(
    app: Flask, settings: Settings, user: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reauthentication, "_DELETION_SECONDS", -1.0)
    for n in range(2):
        user.task(title=f"Task {n}")
    lock = "SELECT FROM users WHERE id = %s FOR SHARE"
    with (
        world.holding(settings, lock, user.user_id) as held,
        world.meanwhile(
            lambda: user.send("POST", "/auth/delete", json={"password": PASSWORD})
        ) as deleted,
    ):
        world.until_blocked(settings, 1)
        body = {"email": user.email, "password": PASSWORD}
        other = world.person(app, user.contract)
        with world.meanwhile(lambda: other.send("POST", "/auth/login", json=body)) as login:
            world.until_blocked(settings, 2)
            held.commit()
            assert deleted.result().status_code == 204
            assert login.result().get_json()["code"] == "invalid_credentials"
    assert rows_of(settings, user.user_id)["users"] == 1
    live = "SELECT count(*) FROM sessions WHERE user_id = %s AND revoked_at IS NULL"
    assert world.sql(settings, live, user.user_id) == [(0,)]


def test_an_administrator_deletes_a_full_account(
    app: Flask, settings: Settings, full: Api, stranger: Api
) -> None:
    stranger.task()
    before = rows_of(settings, stranger.user_id)
    result = app.test_cli_runner().invoke(args=["users", "delete", full.email, "--yes"])
    assert result.output == f"Deleted {full.email}.\n"
    assert rows_of(settings, full.user_id) == {}
    assert rows_of(settings, stranger.user_id) == before
