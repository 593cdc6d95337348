"""A shared workspace for tests of comments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.api import Api
from support.world import sql

from config import Settings

Join = Callable[[Api, str], None]


class Shared:
    """A shared workspace, whose owner has one task in it."""

    def __init__(self, settings: Settings, owner: Api) -> None:
        self._settings = settings
        ((self.id,),) = sql(
            settings,
            "INSERT INTO workspaces (owner_id, name) VALUES (%s, 'Team') RETURNING id",
            owner.user_id,
        )
        self.base = f"/workspaces/{self.id}"
        self.join(owner, "owner")
        self.task: dict[str, Any] = owner.expect(
            201, "POST", f"{self.base}/tasks", json={"title": "Paint the fence"}
        )
        self.path = f"{self.base}/tasks/{self.task['id']}/comments"

    def join(self, person: Api, role: str) -> None:
        """Make a person a member with this role."""
        sql(
            self._settings,
            "INSERT INTO memberships (workspace_id, user_id, role) VALUES (%s, %s, %s)"
            " ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role",
            self.id,
            person.user_id,
            role,
        )

    def leave(self, person: Api) -> None:
        """End the membership of a person."""
        sql(
            self._settings,
            "DELETE FROM memberships WHERE workspace_id = %s AND user_id = %s",
            self.id,
            person.user_id,
        )

    def comment(self, person: Api) -> str:
        """The URL of a new comment of a person."""
        created = person.expect(201, "POST", self.path, json={"text": "Which color?"})
        return f"{self.path}/{created['id']}"


@pytest.fixture
def shared(settings: Settings, user: Api) -> Shared:
    """A shared workspace of the user."""
    return Shared(settings, user)
