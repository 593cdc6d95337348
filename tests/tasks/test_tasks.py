"""One task: made, read, changed, deleted."""

from __future__ import annotations

from support.api import Api


def test_create_answers_the_task_with_its_address_and_tag(user: Api) -> None:
    response = user.send("POST", "/tasks", json={"title": "  Water the plants\n"})
    task = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/tasks/{task['id']}"
    assert response.headers["ETag"] == f'"{task["version"]}"'
    assert task["title"] == "Water the plants"
    assert task["user_id"] == user.user_id
    assert (task["description"], task["is_completed"]) == (None, False)
    assert task["created_at"] == task["updated_at"]
    assert task["created_at"].endswith("Z")
    assert list(task)[:5] == ["id", "user_id", "title", "description", "is_completed"]
