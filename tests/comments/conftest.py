"""A shared workspace for tests of comments."""

from __future__ import annotations

import pytest
from support.api import Api
from support.shared import Shared


class OneTask(Shared):
    """A shared workspace with a task of its owner."""

    def __init__(self, owner: Api) -> None:
        super().__init__(owner)
        self.id_of_task = self.task(owner)["id"]
        self.path = f"{self.base}/tasks/{self.id_of_task}"

    def comment_on_it(self, member: Api) -> str:
        """The URL of a new comment of a member on the task."""
        return self.comment(member, self.id_of_task)


@pytest.fixture
def shared(user: Api) -> OneTask:
    """A shared workspace of the user."""
    return OneTask(user)
