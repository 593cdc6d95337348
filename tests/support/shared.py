"""Shared workspaces that are made by SQL."""

from __future__ import annotations

from typing import Any

from support.api import Api
from support.world import sql

from config import Settings


class Shared:
    """A shared workspace. Its first member is its owner."""

    def __init__(self, settings: Settings, owner: Api, *members: Api, role: str = "editor") -> None:
        self._settings = settings
        statement = "INSERT INTO workspaces (owner_id, name) VALUES (%s, 'Garden') RETURNING id"
        self.id = int(sql(settings, statement, owner.user_id)[0][0])
        inbox = (
            "INSERT INTO lists (workspace_id, id, user_id, name, name_key, version)"
            " VALUES (%s, %s, %s, 'Inbox', 'inbox', 0)"
        )
        sql(settings, inbox, self.id, self.id, owner.user_id)
        self.add(owner, "owner")
        for member in members:
            self.add(member, role)

    @property
    def base(self) -> str:
        return f"/workspaces/{self.id}"

    def add(self, member: Api, role: str) -> None:
        statement = "INSERT INTO memberships (workspace_id, user_id, role) VALUES (%s, %s, %s)"
        sql(self._settings, statement, self.id, member.user_id, role)

    def remove(self, member: Api) -> None:
        """Delete a membership, with the workspace locked, like the service."""
        sql(self._settings, REMOVAL, self.id, self.id, member.user_id)

    def task(self, member: Api, **values: Any) -> dict[str, Any]:
        """A new task of a member in this workspace."""
        body = {"title": "Water the plants"} | values
        return dict(member.expect(201, "POST", f"{self.base}/tasks", json=body))

    @property
    def version(self) -> int:
        rows = sql(self._settings, "SELECT version FROM workspaces WHERE id = %s", self.id)
        return int(rows[0][0])


REMOVAL = """
WITH locked AS (SELECT FROM workspaces WHERE id = %s FOR NO KEY UPDATE)
DELETE FROM memberships WHERE workspace_id = %s AND user_id = %s AND EXISTS (SELECT FROM locked)
"""
