"""Operations of one account that change many of its tasks."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest
from neighbours.data import add_tasks, id_of
from neighbours.scenario import DURATION, Scenario
from support.attack import Attack
from support.production import Place
from support.rawhttp import Person, request

pytestmark = [pytest.mark.neighbours, pytest.mark.alone]

PACKED = 20_000
LABELLED = 500
IN_TREE = 99_000
ATTEMPTS = 10
"""After which an operation that is done in steps must have succeeded."""


def _client(place: Place, person: Person) -> httpx.Client:
    headers = {"Authorization": f"Bearer {person.token}"}
    return httpx.Client(base_url=place.url, headers=headers, timeout=20)


def _add_packed_tasks(database: psycopg.Connection, person: Person) -> list[int]:
    """The ids of tasks in manual order, none of which has room behind it."""
    add_tasks(database, person, PACKED, first=1, gap="1e-30")
    found = database.execute(
        "SELECT id FROM tasks WHERE workspace_id = %s AND position IS NOT NULL ORDER BY position",
        [id_of(person)],
    )
    return [task_id for (task_id,) in found]


def test_moves_among_packed_tasks(
    scenario: Scenario, attacker: Person, database: psycopg.Connection
) -> None:
    task_ids = _add_packed_tasks(database, attacker)
    moves = [
        request("POST", f"/tasks/{task_id}/move", attacker.token, {"after": task_ids[n]})
        for n, task_id in enumerate(task_ids[-20:])
    ]
    scenario.run(Attack(moves, 24, DURATION))


def test_a_move_among_packed_tasks_succeeds(
    place: Place, attacker: Person, database: psycopg.Connection
) -> None:
    first, second, *_, last = _add_packed_tasks(database, attacker)
    order = "SELECT id FROM tasks WHERE workspace_id = %s ORDER BY coalesce(position, id), id"
    before = [row[0] for row in database.execute(order, [id_of(attacker)])]
    with _client(place, attacker) as client:
        for _ in range(ATTEMPTS):
            response = client.post(f"/tasks/{last}/move", json={"after": first})
            if response.status_code == 200:
                break
            assert response.status_code == 503, response.text
    assert response.status_code == 200, response.text
    before.remove(last)
    before.insert(before.index(first) + 1, last)
    assert [row[0] for row in database.execute(order, [id_of(attacker)])] == before
    assert before.index(second) == before.index(last) + 1


def _add_tree(client: httpx.Client, database: psycopg.Connection, person: Person) -> str:
    """The path of a recurring task with subtasks that have dates, all in a list of their own."""
    body: dict[str, Any] = {"title": "Tree", "due": {"date": "2150-01-01"}}
    body["list_id"] = client.post("/lists", json={"name": "Trees"}).raise_for_status().json()["id"]
    root = client.post("/tasks", json=body | {"recurrence": {"rrule": "FREQ=DAILY"}})
    task = root.raise_for_status().json()
    add_tasks(database, person, IN_TREE)
    with database.transaction():
        database.execute(
            "UPDATE tasks SET parent_id = %(id)s, list_id = %(list_id)s, depth = 1,"
            " due_date = '2150-01-01', start_date = '2150-01-01'"
            " WHERE workspace_id = %(workspace_id)s AND id <> %(id)s",
            task,
        )
        database.execute(
            "UPDATE lists SET open_count = open_count + %s WHERE id = %s",
            [IN_TREE, task["list_id"]],
        )
    database.execute("VACUUM ANALYZE tasks")
    return f"/tasks/{task['id']}"


def test_a_tree_of_many_tasks(place: Place, attacker: Person, database: psycopg.Connection) -> None:
    with _client(place, attacker) as client:
        path = _add_tree(client, database, attacker)
        moved = client.post(f"{path}/complete").raise_for_status().json()["task"]
        assert moved["due"] == {"date": "2150-01-02"}
        dates = "SELECT DISTINCT due_date::text, start_date::text FROM tasks WHERE parent_id = %s"
        assert database.execute(dates, [moved["id"]]).fetchall() == [("2150-01-02", "2150-01-02")]
        list_id = moved["list_id"]
        body = {"list_id": id_of(attacker)}
        client.post(f"{path}/move", json=body, headers={"Idempotency-Key": "1"}).raise_for_status()
        client.post(f"{path}/move", json={"list_id": list_id}).raise_for_status()
        client.delete(f"/lists/{list_id}", params={"tasks": "delete"}).raise_for_status()
        assert client.get("/tasks", params={"count": "true"}).json()["total"] == 0


def test_a_task_with_many_subtasks_is_deleted(
    place: Place, attacker: Person, database: psycopg.Connection
) -> None:
    with _client(place, attacker) as client:
        path = _add_tree(client, database, attacker)
        client.delete(path).raise_for_status()
        assert client.get("/tasks", params={"count": "true"}).json()["total"] == 0


@pytest.mark.parametrize("operation", ["merge", "delete"])
@pytest.mark.parametrize("number", [LABELLED, 30_000])
def test_a_label_of_many_tasks(
    place: Place, attacker: Person, database: psycopg.Connection, operation: str, number: int
) -> None:
    with _client(place, attacker) as client:
        label, other = (
            client.post("/labels", json={"name": name}).raise_for_status().json()["id"]
            for name in ("a", "b")
        )
        pieces = 1_000 if number == LABELLED else 1
        add_tasks(database, attacker, number, piece="abcdefghi ", pieces=pieces, labels=[label])
        stale = client.delete(f"/labels/{label}", headers={"If-Match": '"0"'})
        itself = client.post(f"/labels/{label}/merge", json={"into": label})
        assert (stale.status_code, itself.status_code) == (412, 400)
        for _ in range(ATTEMPTS):
            if operation == "merge":
                response = client.post(f"/labels/{label}/merge", json={"into": other})
            else:
                response = client.delete(f"/labels/{label}")
            if response.status_code != 503:
                break
        assert response.is_success, response.text
        assert client.get(f"/labels/{label}").status_code == 404
    tasks = (
        "SELECT count(*) FROM tasks WHERE workspace_id = %s AND label_ids = CAST(%s AS bigint[])"
    )
    (labelled,) = database.execute(tasks, [id_of(attacker), [other]]).fetchone() or ()
    assert labelled == (number if operation == "merge" else 0)
