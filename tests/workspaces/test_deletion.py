"""Deletion of shared workspaces: closed at once, their rows deleted in small steps."""

from __future__ import annotations

import pytest
from flask import Flask
from support import world
from support.api import PASSWORD, Api, new_email
from support.contract import Contract

from config import Settings
from taskapi.auth import reauthentication as accounts
from taskapi.extensions import Model
from taskapi.workspaces import service

TABLES = [table.name for table in Model.metadata.sorted_tables if "workspace_id" in table.c]
MANY = 1_500
FILL = """
INSERT INTO tasks (workspace_id, user_id, title, version)
SELECT %s, %s, n::text, 1 FROM generate_series(1, %s) n
"""


def _rows(settings: Settings, workspace_id: int) -> dict[str, int]:
    """How many rows a workspace has, by table; tables without any are left out."""
    counts = {
        name: world.sql(
            settings, f"SELECT count(*) FROM {name} WHERE workspace_id = %s", workspace_id
        )[0][0]
        for name in TABLES
    }
    found = world.sql(settings, "SELECT count(*) FROM workspaces WHERE id = %s", workspace_id)
    return {name: count for name, count in {**counts, "workspaces": found[0][0]}.items() if count}


@pytest.fixture
def full(settings: Settings, user: Api, stranger: Api) -> int:
    """A workspace with many tasks, some of them below others, and an open invitation."""
    shared = user.workspace(editor=stranger)
    body = {"email": new_email(), "role": "viewer"}
    user.expect(201, "POST", f"/workspaces/{shared}/invitations", json=body)
    inside = stranger.at(shared)
    parent = inside.recurring(label_ids=[inside.label()["id"]])
    inside.task(parent_id=parent["id"])
    inside.filter()
    headers = {"Idempotency-Key": "a-key"}
    inside.expect(201, "POST", "/tasks", json={"title": "Water"}, headers=headers)
    world.sql(settings, FILL, shared, user.user_id, MANY)
    return shared


def test_the_rows_are_deleted_with_the_request_if_there_is_time(
    settings: Settings, user: Api, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_DELETION_SECONDS", 60.0)
    user.expect(204, "DELETE", f"/workspaces/{full}")
    assert _rows(settings, full) == {}


def test_the_purge_deletes_the_rest(
    app: Flask, settings: Settings, user: Api, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_DELETION_SECONDS", -1.0)
    user.expect(204, "DELETE", f"/workspaces/{full}")
    left = _rows(settings, full)
    assert left["tasks"] > MANY - 1_000
    assert not {"memberships", "invitations"} & left.keys()
    assert "\n1 deleted workspaces" in app.test_cli_runner().invoke(args=["purge"]).output
    assert _rows(settings, full) == {}


def test_a_deleted_workspace_does_not_keep_its_owner(
    app: Flask, settings: Settings, user: Api, full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_DELETION_SECONDS", -1.0)
    monkeypatch.setattr(accounts, "_DELETION_SECONDS", 60.0)
    user.expect(204, "DELETE", f"/workspaces/{full}")
    user.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    assert _rows(settings, full) == {}
    assert world.sql(settings, "SELECT 1 FROM users WHERE id = %s", user.user_id) == []


def test_invitations_of_a_deleted_account_are_void(
    user: Api, stranger: Api, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_DELETION_SECONDS", -1.0)
    shared = user.workspace(admin=stranger)
    third = Api(user.client, contract).registered()
    body = {"email": third.email, "role": "editor"}
    sent = stranger.expect(201, "POST", f"/workspaces/{shared}/invitations", json=body)
    stranger.expect(204, "POST", "/auth/delete", json={"password": PASSWORD})
    token = {"token": sent["token"]}
    third.problem(400, "invitation_invalid", "POST", "/invitations/accept", json=token)


def test_the_command_names_the_workspaces_of_an_owner(app: Flask, user: Api, full: int) -> None:
    result = app.test_cli_runner().invoke(args=["users", "delete", user.email, "--yes"])
    assert result.exit_code == 1
    assert f"(ID {full})" in result.output
    user.expect(200, "GET", f"/workspaces/{full}")


def test_expired_invitations_are_purged(app: Flask, settings: Settings, full: int) -> None:
    expire = "UPDATE invitations SET expires_at = now() - interval '1 second'"
    world.sql(settings, f"{expire} WHERE workspace_id = %s", full)
    app.test_cli_runner().invoke(args=["purge"])
    assert "invitations" not in _rows(settings, full)
