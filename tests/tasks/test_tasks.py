"""Operations on one task: create, get, change and delete; values of its fields."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from support.api import Api, new_title

CHANGES = ("PUT", "PATCH")
EACH_CALL = ("GET", "PUT", "PATCH", "DELETE")
NOBODYS_IDS = (
    "0",
    "-1",
    "00",
    "01",
    "1.0",
    "1e3",
    "+1",
    "1_0",
    "0x1",
    "abc",
    "%00",
    "%20",
    "%D9%A3",  # the Arabic digit three
    "%F0%9F%8C%B1",
    "%FF",
    str(2**53 - 1),
    str(2**53),
    str(2**63),
    str(10**30),
    "9" * 5_000,
)

# Unicode's White_Space, from PropList.txt.
WHITE_SPACE = (
    "\u0009\u000a\u000b\u000c\u000d\u0020\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
    "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
CONTROLS = "".join(map(chr, [*range(1, 32), 127, *range(0x80, 0xA0)]))
TEXTS = {
    "right-to-left": "להשקות את הצמחים \u202eabc\u202c \u200f",
    "combining": "Cafe\u0301 a\u0328\u0301\u0323 \u1112\u1161\u11ab",
    "zero-width": "\u200bwater\u200c\u200d\u2060the\ufeffplants\u200b",
    "astral": "🌱👩\u200d👩\u200d👧🏳️\u200d🌈𝔸𐍈",
    "html": "<script>alert('1')</script> &amp; &lt;b&gt; <!-- ]]>",
    "sql": "'; DROP TABLE tasks; -- %s %(id)s %% :id $1 {} E'\\\\'",
    "quotes": '"\'`\u00b4 \\ \\n \\u0000 \\ud800 \\\\"',
    "controls": f"a{CONTROLS}z",
    "noncharacters": "\ufdd0\ufffe\uffff\U0001ffff\U0010ffff",
    "replacement": "\ufffd",
    "not-white": "\x1c\x1f\u180e\u200btitle\u200b\u180e\x1f\x1c",
}

# Each with its invalid fields.
BAD_VALUES: list[tuple[dict[str, Any], list[str]]] = [
    ({"title": None}, ["/title"]),
    ({"title": ""}, ["/title"]),
    ({"title": WHITE_SPACE}, ["/title"]),
    ({"title": "🌱" * 256}, ["/title"]),
    *[({"title": value}, ["/title"]) for value in (1, 1.5, True, [], ["a"], {}, {"a": 1})],
    ({"description": "🌱" * 10_001}, ["/description"]),
    *[({"description": value}, ["/description"]) for value in (0, False, [], {})],
    *[
        ({"is_completed": value}, ["/is_completed"])
        for value in (0, 1, 1.0, "true", "false", "True", "", "1", "on", [], {})
    ],
    ({"is_complete": True}, ["/is_complete"]),
    ({"Title": "x"}, ["/Title"]),
    ({"due/at": 1, "a~b": 2, "": 3, "🌱": 4}, ["/due~1at", "/a~0b", "/", "/🌱"]),
    ({"title\u0301": "x"}, ["/title\u0301"]),
    (
        {"title": " ", "description": 1, "is_completed": "no", "nope": 1},
        ["/title", "/description", "/is_completed", "/nope"],
    ),
]


def _list_tag(user: Api) -> str:
    return user.send("GET", "/tasks").headers["ETag"]


def _pointers(problem: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in problem["errors"]}


def test_create_returns_the_task_with_location_and_etag(user: Api) -> None:
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


def test_create_accepts_every_field(user: Api) -> None:
    task = user.task(title="Call", description="At noon", is_completed=True)
    assert (task["title"], task["description"], task["is_completed"]) == ("Call", "At noon", True)


def test_every_operation_returns_the_same_task(user: Api) -> None:
    task = user.task(description="Twice a week")
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    assert user.expect(200, "GET", "/tasks")["tasks"] == [task]
    assert user.expect(200, "PATCH", f"/tasks/{task['id']}", json={}) == task
    assert user.expect(200, "PUT", f"/tasks/{task['id']}", json={}) == task


def test_later_tasks_have_greater_ids(user: Api, stranger: Api) -> None:
    ids = [person.task()["id"] for person in (user, stranger, user)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("method", EACH_CALL)
def test_a_deleted_task_returns_404(user: Api, method: str) -> None:
    address = f"/tasks/{user.task()['id']}"
    response = user.send("DELETE", address)
    assert (response.status_code, response.data) == (204, b"")
    problem = user.problem(404, "not_found", method, address, **new_title(method))
    assert problem["detail"] == "Task not found"
    assert user.expect(200, "GET", "/tasks") == {"tasks": [], "total": 0, "next_cursor": None}


@pytest.mark.parametrize("method", CHANGES)
@pytest.mark.parametrize(
    "change",
    [
        {"title": "Feed the cat"},
        {"description": "Twice"},
        {"description": ""},
        {"description": None},
        {"is_completed": True},
        {"is_completed": True, "title": "Both"},
    ],
    ids=str,
)
def test_a_change_sets_only_the_given_fields(
    user: Api, method: str, change: dict[str, Any]
) -> None:
    before = user.task(description="Once")
    after = user.expect(200, method, f"/tasks/{before['id']}", json=change)
    moved = {"version": before["version"] + 1, "updated_at": after["updated_at"]}
    moved |= {"completed_at": after["updated_at"]} if "is_completed" in change else {}
    assert after == before | change | moved
    assert after["updated_at"] > before["updated_at"]
    assert user.expect(200, "GET", f"/tasks/{before['id']}") == after


@pytest.mark.parametrize("method", CHANGES)
def test_a_completed_task_can_be_reopened(user: Api, method: str) -> None:
    task = user.task(is_completed=True)
    body = {"is_completed": False}
    assert user.expect(200, method, f"/tasks/{task['id']}", json=body)["is_completed"] is False
    assert user.expect(200, "GET", "/tasks?is_completed=false")["total"] == 1


def test_patch_accepts_a_merge_patch(user: Api) -> None:
    task = user.task(description="Once")
    response = user.send(
        "PATCH",
        f"/tasks/{task['id']}",
        data=b'{"description": null, "is_completed": true}',
        content_type="application/merge-patch+json",
    )
    assert response.status_code == 200
    assert response.get_json()["description"] is None
    assert response.get_json()["is_completed"] is True


@pytest.mark.parametrize("method", CHANGES)
def test_an_empty_object_changes_nothing(user: Api, method: str) -> None:
    task, tag = user.task(), _list_tag(user)
    assert user.expect(200, method, f"/tasks/{task['id']}", json={}) == task
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    assert _list_tag(user) == tag


@pytest.mark.parametrize(("values", "pointers"), BAD_VALUES, ids=lambda value: str(value)[:30])
def test_invalid_input_reports_each_field_and_changes_nothing(
    user: Api, values: dict[str, Any], pointers: list[str]
) -> None:
    task, tag = user.task(), _list_tag(user)
    body = {"title": "Other", "description": "Other", "is_completed": True} | values
    address = f"/tasks/{task['id']}"
    for method, path in (("POST", "/tasks"), ("PUT", address), ("PATCH", address)):
        problem = user.problem(400, "invalid_input", method, path, json=body)
        assert _pointers(problem) == set(pointers)
    assert user.expect(200, "GET", address) == task
    assert _list_tag(user) == tag


def test_a_title_is_required(user: Api) -> None:
    problem = user.problem(400, "invalid_input", "POST", "/tasks", json={"description": "x"})
    assert problem["errors"] == [{"pointer": "/title", "message": "Required.", "code": "required"}]


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "utf-8"])
def test_text_is_returned_as_it_was_sent(user: Api, name: str, escaped: bool) -> None:
    text = TEXTS[name]
    body = json.dumps({"title": text, "description": text}, ensure_ascii=escaped).encode()
    sent = {"data": body, "content_type": "application/json"}
    task = user.expect(201, "POST", "/tasks", **sent)
    assert (task["title"], task["description"]) == (text, text)
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    assert user.expect(200, "GET", "/tasks?sort=title")["tasks"] == [task]
    again = user.expect(200, "PUT", f"/tasks/{task['id']}", **sent)
    assert (again["title"], again["description"]) == (text, text)


@pytest.mark.parametrize("space", WHITE_SPACE, ids=lambda space: f"U+{ord(space):04X}")
def test_white_space_is_removed_around_titles_but_not_descriptions(user: Api, space: str) -> None:
    text = f"{space}a{space}b{space}{space}"
    task = user.task(title=text, description=text)
    assert (task["title"], task["description"]) == (f"a{space}b", text)


@pytest.mark.parametrize("character", ["a", "é", "🌱", "\u0301", '"', "\x01"], ids=ascii)
def test_lengths_count_code_points_after_trimming(user: Api, character: str) -> None:
    title, description = character * 255, character * 10_000
    task = user.task(title=f" {title}\n", description=description)
    assert (task["title"], task["description"]) == (title, description)
    body = {"title": f"{title}a", "description": f"{description}a"}
    problem = user.problem(400, "invalid_input", "POST", "/tasks", json=body)
    assert _pointers(problem) == {"/title", "/description"}
    assert {error["code"] for error in problem["errors"]} == {"length"}


@pytest.mark.parametrize("method", CHANGES)
def test_a_whole_task_can_be_sent_back(user: Api, method: str) -> None:
    before = user.task(description="Once")
    after = user.expect(200, method, f"/tasks/{before['id']}", json=before)
    moved = {name: after[name] for name in ("version", "updated_at")}
    assert after == before | moved


@pytest.mark.parametrize("method", ["POST", *CHANGES])
def test_read_only_fields_are_ignored(user: Api, stranger: Api, method: str) -> None:
    before = user.task()
    forged = {
        "id": 1,
        "user_id": stranger.user_id,
        "version": 999,
        "created_at": "1999-01-01T00:00:00Z",
        "updated_at": None,
    }
    address = "/tasks" if method == "POST" else f"/tasks/{before['id']}"
    task = user.send(method, address, json={"title": "Mine"} | forged).get_json()
    assert (task["title"], task["user_id"], task["version"]) == ("Mine", user.user_id, 2)
    assert task["id"] != 1
    assert task["created_at"] >= before["created_at"]
    assert stranger.expect(200, "GET", "/tasks")["total"] == 0


@pytest.mark.parametrize("task_id", NOBODYS_IDS, ids=lambda task_id: task_id[:20])
def test_an_invalid_id_returns_404(user: Api, task_id: str) -> None:
    for method in EACH_CALL:
        body = None if method in ("GET", "DELETE") else {"title": "x"}
        problem = user.problem(404, "not_found", method, f"/tasks/{task_id}", json=body)
        assert problem["detail"] == "Task not found"


@pytest.mark.parametrize("task_id", NOBODYS_IDS, ids=lambda task_id: task_id[:20])
def test_without_a_token_no_id_reveals_whether_it_exists(anonymous: Api, task_id: str) -> None:
    for method in EACH_CALL:
        problem = anonymous.problem(401, "authentication_required", method, f"/tasks/{task_id}")
        assert problem["detail"] == "Authentication required"


@pytest.mark.parametrize("method", EACH_CALL)
def test_a_slash_in_an_id_is_another_url(user: Api, method: str) -> None:
    # A WSGI server decodes %2F, which then equals a slash.
    user.problem(404, "not_found", method, f"/tasks/{user.task()['id']}%2F2")


@pytest.mark.parametrize(
    ("method", "verb"),
    [("GET", "access"), ("PUT", "update"), ("PATCH", "update"), ("DELETE", "delete")],
)
def test_another_users_task_returns_403_and_is_unchanged_and_logged(
    user: Api, stranger: Api, caplog: pytest.LogCaptureFixture, method: str, verb: str
) -> None:
    task, tag = user.task(), _list_tag(user)
    with caplog.at_level(logging.WARNING, "taskapi.event"):
        path = f"/tasks/{task['id']}"
        problem = stranger.problem(403, "forbidden", method, path, **new_title(method))
    assert problem["detail"] == f"Not authorized to {verb} this task"
    (record,) = [vars(record) for record in caplog.records if record.msg == "refused"]
    assert (record["user_id"], record["task_id"], record["verb"]) == (
        stranger.user_id,
        task["id"],
        verb,
    )
    assert user.expect(200, "GET", f"/tasks/{task['id']}") == task
    assert _list_tag(user) == tag


@pytest.mark.parametrize("method", CHANGES)
def test_an_empty_change_of_another_users_task_returns_403(
    user: Api, stranger: Api, method: str
) -> None:
    stranger.problem(403, "forbidden", method, f"/tasks/{user.task()['id']}", json={})
