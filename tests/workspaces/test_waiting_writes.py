"""Writes that wait for each other: totals and counts stay right, and none fails."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from flask import Flask
from support import world
from support.api import Api
from support.contract import Contract

from config import Settings

LOCK = "SELECT FROM workspaces WHERE id = %s FOR NO KEY UPDATE"
WRONG = """
SELECT totals.name FROM workspaces w, LATERAL (VALUES
    ('tasks', task_count, (SELECT count(*) FROM tasks t WHERE t.workspace_id = w.id)),
    ('completed', completed_task_count,
        (SELECT count(*) FROM tasks t WHERE t.workspace_id = w.id AND is_completed)),
    ('occurrences', occurrence_count,
        (SELECT count(*) FROM occurrences o WHERE o.workspace_id = w.id)),
    ('comments', comment_count, (SELECT count(*) FROM comments c WHERE c.workspace_id = w.id)),
    ('lists', list_count, (SELECT count(*) FROM lists l WHERE l.workspace_id = w.id)),
    ('open in lists', (SELECT sum(open_count) FROM lists l WHERE l.workspace_id = w.id),
        (SELECT count(*) FROM tasks t
         WHERE t.workspace_id = w.id AND NOT is_completed AND list_id IS NOT NULL)),
    ('completed in lists', (SELECT sum(completed_count) FROM lists l WHERE l.workspace_id = w.id),
        (SELECT count(*) FROM tasks t
         WHERE t.workspace_id = w.id AND is_completed AND list_id IS NOT NULL))
) AS totals (name, stored, counted)
WHERE w.id = %s AND stored <> counted
"""


class Write(NamedTuple):
    """A request about a task in a list."""

    method: str
    path: str
    body: dict[str, Any] | None = None


WRITES = {
    "complete": Write("POST", "/tasks/{task}/complete"),
    "undo": Write("POST", "/tasks/{task}/undo"),
    "done": Write("PATCH", "/tasks/{task}", {"is_completed": True}),
    "reopen": Write("PATCH", "/tasks/{task}", {"is_completed": False}),
    "to the inbox": Write("PATCH", "/tasks/{task}", {"list_id": None}),
    "comment": Write("POST", "/tasks/{task}/comments", {"text": "A comment"}),
    "delete": Write("DELETE", "/tasks/{task}"),
    "delete the list": Write("DELETE", "/lists/{list}?tasks=delete"),
}
PAIRS = [(one, other) for one in WRITES for other in WRITES]


@pytest.mark.parametrize("recurs", [False, True], ids=["once", "recurring"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_second_write_knows_what_the_first_did(
    app: Flask,
    settings: Settings,
    contract: Contract,
    user: Api,
    first: str,
    second: str,
    recurs: bool,
) -> None:
    list_id = user.list()["id"]
    task = (user.recurring if recurs else user.task)(list_id=list_id)
    clients = [world.person(app, contract, like=user) for _ in range(2)]

    def send(client: Api, write: Write) -> int:
        path = write.path.format(task=task["id"], list=list_id)
        return client.send(write.method, path, json=write.body).status_code

    with (
        world.holding(settings, LOCK, user.user_id) as transaction,
        world.meanwhile(lambda: send(clients[0], WRITES[first])) as before,
    ):
        world.until_blocked(settings, 1)
        with world.meanwhile(lambda: send(clients[1], WRITES[second])) as after:
            world.until_blocked(settings, 2)
            transaction.commit()
            statuses = before.result(), after.result()
    assert max(statuses) < 500
    assert world.sql(settings, WRONG, user.user_id) == []
