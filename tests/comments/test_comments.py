"""Comments on tasks: the operations, validation, pages, conditional and repeated requests."""

from __future__ import annotations

from typing import Any

import pytest
from support.api import Api


def _comments(api: Api) -> str:
    """The URL of the comments on a new task."""
    return f"/tasks/{api.task()['id']}/comments"


def _comment(api: Api, path: str, text: str = "Which color?") -> dict[str, Any]:
    return api.expect(201, "POST", path, json={"text": text})


def test_a_comment_has_an_author_a_task_and_a_text(user: Api) -> None:
    path = _comments(user)
    response = user.send("POST", path, json={"text": "  Which color?\n\nGreen? "})
    comment = response.get_json()
    assert comment["text"] == "Which color?\n\nGreen?"
    assert comment["author_id"] == user.user_id
    assert path == f"/tasks/{comment['task_id']}/comments"
    assert "user_id" not in comment
    assert comment["created_at"] == comment["updated_at"]
    assert response.headers["Location"] == f"{path}/{comment['id']}"
    assert user.expect(200, "GET", f"{path}/{comment['id']}") == comment


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_comment_can_be_changed(user: Api, method: str) -> None:
    path = _comments(user)
    comment = _comment(user, path)
    address = f"{path}/{comment['id']}"
    task = user.expect(200, "GET", path.removesuffix("/comments"))
    changed = user.expect(200, method, address, json={"text": "Green", "author_id": 1, "id": 2})
    assert changed["text"] == "Green"
    assert changed["version"] > comment["version"]
    assert changed["updated_at"] > changed["created_at"]
    same = {"id", "task_id", "author_id", "created_at"}
    assert {name: changed[name] for name in same} == {name: comment[name] for name in same}
    assert user.expect(200, "GET", address) == changed
    assert user.expect(200, method, address, json={}) == changed
    assert user.expect(200, "GET", path.removesuffix("/comments")) == task


def test_a_deleted_comment_is_gone(user: Api) -> None:
    path = _comments(user)
    address = f"{path}/{_comment(user, path)['id']}"
    user.expect(204, "DELETE", address)
    for method in ("GET", "PUT", "DELETE"):
        body = {"json": {"text": "Green"}} if method == "PUT" else {}
        problem = user.problem(404, "not_found", method, address, **body)
        assert problem["detail"] == "Comment not found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "required"),
        ({"text": None}, "null"),
        ({"text": ""}, "length"),
        ({"text": " \n\t\u2003"}, "length"),
        ({"text": "x" * 10_001}, "length"),
        ({"text": 7}, "not_a_string"),
        ({"text": "a\x00b"}, "invalid_text"),
        ({"text": "a", "body": "b"}, "unknown_field"),
    ],
    ids=str,
)
def test_invalid_comments(user: Api, body: dict[str, Any], code: str) -> None:
    path = _comments(user)
    problem = user.problem(400, "invalid_input", "POST", path, json=body)
    (error,) = problem["errors"]
    assert error["code"] == code
    assert user.expect(200, "GET", path)["total"] == 0
    if body:
        address = f"{path}/{_comment(user, path)['id']}"
        for method in ("PUT", "PATCH"):
            user.problem(400, "invalid_input", method, address, json=body)


def test_a_comment_can_have_ten_thousand_characters(user: Api) -> None:
    text = "\N{PARTY POPPER}" * 10_000
    assert _comment(user, _comments(user), text)["text"] == text


def test_comments_are_listed_newest_first_in_pages(user: Api) -> None:
    path, other = _comments(user), _comments(user)
    made = [_comment(user, path, f"Number {number}")["id"] for number in range(5)]
    _comment(user, other)
    page = user.expect(200, "GET", path)
    assert [comment["id"] for comment in page["comments"]] == made[::-1]
    assert page["total"] == 5
    assert page["next_cursor"] is None
    pages = list(user.pages(path, limit=2))
    assert [comment["id"] for page in pages for comment in page["comments"]] == made[::-1]
    assert [(len(page["comments"]), page["total"]) for page in pages] == [(2, 5), (2, 5), (1, 5)]
    oldest = [page["comments"] for page in user.pages(path, limit=3, sort="created_at")]
    assert [comment["id"] for rows in oldest for comment in rows] == made
    user.problem(400, "invalid_input", "GET", path, query_string={"sort": "text"})


def test_large_comments_make_short_pages(user: Api) -> None:
    path = _comments(user)
    for _ in range(101):
        _comment(user, path, "\N{PARTY POPPER}" * 10_000)
    pages = list(user.pages(path))
    assert len(pages) > 1
    assert sum(len(page["comments"]) for page in pages) == 101


def test_conditional_requests(user: Api) -> None:
    path = _comments(user)
    comment = _comment(user, path)
    address, tag = f"{path}/{comment['id']}", f'"{comment["version"]}"'
    assert user.send("GET", address).headers["ETag"] == tag
    assert user.send("GET", address, headers={"If-None-Match": tag}).status_code == 304
    listed = user.send("GET", path).headers["ETag"]
    assert user.send("GET", path, headers={"If-None-Match": listed}).status_code == 304
    changed = user.expect(200, "PUT", address, json={"text": "Green"}, headers={"If-Match": tag})
    assert user.send("GET", path, headers={"If-None-Match": listed}).status_code == 200
    for method, body in (("PUT", {"text": "Red"}), ("PATCH", {}), ("DELETE", None)):
        sent = {} if body is None else {"json": body}
        problem = user.problem(
            412, "precondition_failed", method, address, headers={"If-Match": tag}, **sent
        )
        assert problem["comment"] == changed
    current = {"If-Match": f'"{changed["version"]}"'}
    user.expect(204, "DELETE", address, headers=current)


def test_a_repeated_request_adds_one_comment(user: Api) -> None:
    path, headers = _comments(user), {"Idempotency-Key": "one"}
    first, second = (
        user.send("POST", path, json={"text": "Green"}, headers=headers) for _ in range(2)
    )
    assert first.get_json() == second.get_json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert user.expect(200, "GET", path)["total"] == 1


def test_the_comments_of_a_task_that_does_not_exist(user: Api) -> None:
    path = "/tasks/9007199254740991/comments"
    for method, body in (("GET", {}), ("POST", {"json": {"text": "Green"}})):
        problem = user.problem(404, "not_found", method, path, **body)
        assert problem["detail"] == "Task not found"
    response = user.send("GET", path, headers={"If-None-Match": "*"})
    assert response.status_code == 404


def test_a_missing_task_uses_no_version(user: Api) -> None:
    before = user.task()["version"]
    user.expect(404, "POST", "/tasks/9007199254740991/comments", json={"text": "Green"})
    assert user.task()["version"] == before + 1


def test_a_comment_belongs_to_one_task(user: Api) -> None:
    path, other = _comments(user), _comments(user)
    comment = _comment(user, path)
    wrong = f"{other}/{comment['id']}"
    for method, body in (
        ("GET", {}),
        ("PUT", {"json": {"text": "Red"}}),
        ("PATCH", {"json": {}}),
        ("DELETE", {}),
    ):
        for headers in ({}, {"If-Match": '"0"'}, {"If-Match": f'"{comment["version"]}"'}):
            problem = user.problem(404, "not_found", method, wrong, headers=headers, **body)
            assert problem["detail"] == "Comment not found"
    assert user.expect(200, "GET", f"{path}/{comment['id']}") == comment
    assert user.expect(200, "GET", other.removesuffix("/comments"))["comment_count"] == 0


def test_a_comment_of_another_user_is_not_accessible(user: Api, stranger: Api) -> None:
    path, own = _comments(user), _comments(stranger)
    comment = _comment(user, path)
    for parent in (path, own):
        address = f"{parent}/{comment['id']}"
        for method, verb in (("GET", "access"), ("PUT", "update"), ("DELETE", "delete")):
            body = {"json": {"text": "Red"}} if method == "PUT" else {}
            problem = stranger.problem(403, "forbidden", method, address, **body)
            assert problem["detail"] == f"Not authorized to {verb} this comment"
    stranger.problem(403, "forbidden", "GET", path)
    stranger.problem(403, "forbidden", "POST", path, json={"text": "Red"})
    # A comment of the stranger is not below a task of the user.
    stranger.problem(404, "not_found", "GET", f"{path}/{_comment(stranger, own)['id']}")
    assert user.expect(200, "GET", path)["comments"] == [comment]


def test_tokens_need_the_scopes_of_comments(user: Api) -> None:
    path = _comments(user)
    address = f"{path}/{_comment(user, path)['id']}"
    reader, writer = user.with_token("comments:read"), user.with_token("comments:write")
    reader.expect(200, "GET", path)
    reader.problem(403, "insufficient_scope", "DELETE", address)
    writer.expect(200, "PUT", address, json={"text": "Green"})
    writer.problem(403, "insufficient_scope", "GET", address)
    other = user.with_token("tasks:read", "tasks:write")
    other.problem(403, "insufficient_scope", "GET", path)
    other.problem(403, "insufficient_scope", "POST", path, json={"text": "Red"})
