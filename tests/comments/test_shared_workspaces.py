"""Who can read, write, change and delete the comments of a shared workspace."""

from __future__ import annotations

import pytest
from support.api import Api

from .conftest import Shared

CHANGE = {"json": {"text": "Green"}}


def test_members_read_and_add_comments(shared: Shared, user: Api, stranger: Api) -> None:
    shared.join(stranger, "editor")
    address = shared.comment(stranger)
    comment = user.expect(200, "GET", address)
    assert comment["author_id"] == stranger.user_id
    task = f"{shared.base}/tasks/{shared.task['id']}"
    assert user.expect(200, "GET", task)["comment_count"] == 1
    assert user.expect(200, "GET", shared.path)["comments"] == [comment]


@pytest.mark.parametrize("role", ["admin", "editor"])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_the_author_changes_a_comment(
    shared: Shared, user: Api, stranger: Api, role: str, method: str
) -> None:
    shared.join(stranger, role)
    of_owner, own = shared.comment(user), shared.comment(stranger)
    comment = user.expect(200, "GET", of_owner)
    for person, address in ((stranger, of_owner), (user, own)):
        for headers in ({}, {"If-Match": '"0"'}, {"If-Match": "*"}):
            for body in ({"text": "Green"}, {}):
                problem = person.problem(
                    403, "not_author", method, address, json=body, headers=headers
                )
                assert problem["detail"] == "Only its author can change a comment."
    assert user.expect(200, "GET", of_owner) == comment
    assert stranger.expect(200, method, own, **CHANGE)["text"] == "Green"


@pytest.mark.parametrize(("role", "may_delete"), [("admin", True), ("editor", False)])
def test_admins_delete_the_comments_of_others(
    shared: Shared, user: Api, stranger: Api, role: str, may_delete: bool
) -> None:
    shared.join(stranger, role)
    address = shared.comment(user)
    stale = {"headers": {"If-Match": '"0"'}}
    if may_delete:
        stranger.problem(412, "precondition_failed", "DELETE", address, **stale)
        stranger.expect(204, "DELETE", address)
        user.expect(404, "GET", address)
    else:
        for sent in ({}, stale):
            problem = stranger.problem(403, "not_author", "DELETE", address, **sent)
            assert problem["detail"] == "Only its author and admins can delete a comment."
        user.expect(200, "GET", address)
    stranger.expect(204, "DELETE", shared.comment(stranger))


def test_the_owner_deletes_the_comment_of_a_former_member(
    shared: Shared, user: Api, stranger: Api
) -> None:
    shared.join(stranger, "editor")
    address = shared.comment(stranger)
    shared.leave(stranger)
    for method, sent in (("GET", {}), ("PUT", CHANGE), ("DELETE", {})):
        stranger.problem(403, "forbidden", method, address, **sent)
    assert user.expect(200, "GET", address)["author_id"] == stranger.user_id
    user.problem(403, "not_author", "PUT", address, **CHANGE)
    user.expect(204, "DELETE", address)
    task = f"{shared.base}/tasks/{shared.task['id']}"
    assert user.expect(200, "GET", task)["comment_count"] == 0


def test_an_admin_who_is_demoted_deletes_only_own_comments(
    shared: Shared, user: Api, stranger: Api
) -> None:
    shared.join(stranger, "admin")
    address = shared.comment(user)
    shared.join(stranger, "editor")
    stranger.problem(403, "not_author", "DELETE", address)


def test_a_viewer_only_reads(shared: Shared, user: Api, stranger: Api) -> None:
    shared.join(stranger, "editor")
    own, of_owner = shared.comment(stranger), shared.comment(user)
    shared.join(stranger, "viewer")
    stranger.expect(200, "GET", shared.path)
    stranger.expect(200, "GET", own)
    stranger.problem(403, "insufficient_role", "POST", shared.path, **CHANGE)
    for address in (own, of_owner):
        stranger.problem(403, "insufficient_role", "PUT", address, **CHANGE)
        stranger.problem(403, "insufficient_role", "PATCH", address, json={})
        stranger.problem(403, "insufficient_role", "DELETE", address)


def test_a_comment_of_another_workspace_of_the_author(
    shared: Shared, user: Api, stranger: Api
) -> None:
    address = shared.comment(user)
    comment_id = address.rpartition("/")[2]
    own = f"/tasks/{user.task()['id']}/comments/{comment_id}"
    for method, sent in (("GET", {}), ("PUT", CHANGE), ("DELETE", {})):
        user.problem(403, "forbidden", method, own, **sent)
    other = user.expect(201, "POST", f"{shared.base}/tasks", json={"title": "Other"})
    wrong = f"{shared.base}/tasks/{other['id']}/comments/{comment_id}"
    shared.join(stranger, "admin")
    for person in (user, stranger):
        for method, sent in (("GET", {}), ("PUT", CHANGE), ("DELETE", {})):
            person.problem(404, "not_found", method, wrong, **sent)
    user.expect(200, "GET", address)
