"""Who can read, write, change and delete the comments of a shared workspace."""

from __future__ import annotations

import pytest
from support.api import Api

from .conftest import OneTask

CHANGE = {"json": {"text": "Green"}}


def test_members_read_and_add_comments(shared: OneTask, user: Api, stranger: Api) -> None:
    shared.join(stranger, "editor")
    address = shared.comment_on_it(stranger)
    comment = user.expect(200, "GET", address)
    assert comment["author_id"] == stranger.user_id
    assert user.expect(200, "GET", shared.path)["comment_count"] == 1
    assert user.expect(200, "GET", f"{shared.path}/comments")["comments"] == [comment]


@pytest.mark.parametrize("role", ["admin", "editor"])
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_the_author_changes_a_comment(
    shared: OneTask, user: Api, stranger: Api, role: str, method: str
) -> None:
    shared.join(stranger, role)
    of_owner, own = shared.comment_on_it(user), shared.comment_on_it(stranger)
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
    shared: OneTask, user: Api, stranger: Api, role: str, may_delete: bool
) -> None:
    shared.join(stranger, role)
    address = shared.comment_on_it(user)
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
    stranger.expect(204, "DELETE", shared.comment_on_it(stranger))


def test_the_owner_deletes_the_comment_of_a_former_member(
    shared: OneTask, user: Api, stranger: Api
) -> None:
    shared.join(stranger, "editor")
    address = shared.comment_on_it(stranger)
    shared.remove(stranger)
    for method, sent in (("GET", {}), ("PUT", CHANGE), ("DELETE", {})):
        stranger.problem(403, "forbidden", method, address, **sent)
    assert user.expect(200, "GET", address)["author_id"] == stranger.user_id
    user.problem(403, "not_author", "PUT", address, **CHANGE)
    user.expect(204, "DELETE", address)
    assert user.expect(200, "GET", shared.path)["comment_count"] == 0


def test_an_admin_who_is_demoted_deletes_only_own_comments(
    shared: OneTask, user: Api, stranger: Api
) -> None:
    shared.join(stranger, "admin")
    address = shared.comment_on_it(user)
    shared.join(stranger, "editor")
    stranger.problem(403, "not_author", "DELETE", address)


def test_a_viewer_only_reads(shared: OneTask, user: Api, stranger: Api) -> None:
    shared.join(stranger, "editor")
    own, of_owner = shared.comment_on_it(stranger), shared.comment_on_it(user)
    shared.join(stranger, "viewer")
    stranger.expect(200, "GET", f"{shared.path}/comments")
    stranger.expect(200, "GET", own)
    stranger.problem(403, "insufficient_role", "POST", f"{shared.path}/comments", **CHANGE)
    for address in (own, of_owner):
        stranger.problem(403, "insufficient_role", "PUT", address, **CHANGE)
        stranger.problem(403, "insufficient_role", "PATCH", address, json={})
        stranger.problem(403, "insufficient_role", "DELETE", address)


def test_a_comment_of_another_workspace_of_the_author(
    shared: OneTask, user: Api, stranger: Api
) -> None:
    address = shared.comment_on_it(user)
    comment_id = address.rpartition("/")[2]
    own = f"/tasks/{user.task()['id']}/comments/{comment_id}"
    for method, sent in (("GET", {}), ("PUT", CHANGE), ("DELETE", {})):
        user.problem(403, "forbidden", method, own, **sent)
    other = shared.task(user)
    wrong = f"{shared.base}/tasks/{other['id']}/comments/{comment_id}"
    shared.join(stranger, "admin")
    for person in (user, stranger):
        for method, sent in (("GET", {}), ("PUT", CHANGE), ("DELETE", {})):
            person.problem(404, "not_found", method, wrong, **sent)
    user.expect(200, "GET", address)
