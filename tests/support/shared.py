"""Shared workspaces, made over HTTP."""

from __future__ import annotations

from typing import Any

from support.api import Api


class Shared:
    """A shared workspace of a user, with other members of the same role."""

    def __init__(self, owner: Api, *members: Api, role: str = "editor") -> None:
        self._owner = owner
        self._members: set[int] = set()
        self.id = owner.workspace()
        self.base = f"/workspaces/{self.id}"
        for member in members:
            self.join(member, role)

    @property
    def version(self) -> int:
        """The version of the content."""
        tag = self._owner.at(self.id).send("GET", "/tasks").headers["ETag"]
        return int(tag.strip('"').rpartition(".")[2])

    def join(self, member: Api, role: str) -> None:
        """Invite a user, or change the role of a member."""
        if member.user_id in self._members:
            path = f"{self.base}/members/{member.user_id}"
            self._owner.expect(200, "PATCH", path, json={"role": role})
        else:
            self._owner.invite(self.id, member, role)
            self._members.add(member.user_id)

    def remove(self, member: Api) -> None:
        """Remove a member."""
        self._owner.expect(204, "DELETE", f"{self.base}/members/{member.user_id}")

    def task(self, member: Api, **values: Any) -> dict[str, Any]:
        """A new task of a member."""
        return member.at(self.id).task(**values)

    def comment(self, member: Api, task_id: int) -> str:
        """The URL of a new comment of a member."""
        path = f"{self.base}/tasks/{task_id}/comments"
        created = member.expect(201, "POST", path, json={"text": "Which color?"})
        return f"{path}/{created['id']}"
