"""Saved filters."""

from __future__ import annotations

from typing import Any

from filters.requests import MOST_TEXTS, NOBODYS, new, refusal, titles
from support.api import Api
from support.shared import Shared


def saved(person: Api, **values: Any) -> dict[str, Any]:
    body = {"name": "Urgent", "query": "priority >= 3"} | values
    return dict(person.expect(201, "POST", "/filters", json=body))


def test_a_filter_is_saved_and_used(user: Api, stranger: Api) -> None:
    user.task(title="a", priority=4)
    user.task(title="b", priority=1)
    made = saved(user, name=" Urgent ", color="#C62828")
    expected = {"name": "Urgent", "query": "priority >= 3", "color": "#c62828"}
    assert made == made | expected | {"user_id": user.user_id}
    path = f"/filters/{made['id']}"
    assert user.expect(200, "GET", path) == made
    assert titles(user, filter_id=made["id"]) == ["a"]
    assert titles(user, filter_id=made["id"], filter="priority < 4") == []
    changed = user.expect(200, "PATCH", path, json={"query": "priority < 3", "color": None})
    assert (changed["name"], changed["color"]) == ("Urgent", None)
    assert changed["version"] == made["version"] + 1
    assert titles(user, filter_id=made["id"]) == ["b"]
    assert user.expect(200, "PUT", path, json=changed)["query"] == "priority < 3"
    stale = {"If-Match": f'"{made["version"]}"'}
    conflict = user.problem(
        412, "precondition_failed", "PUT", path, headers=stale, json={"name": "a"}
    )
    assert conflict["filter"]["query"] == "priority < 3"
    gone = ("filter_id", "unknown_reference", None)
    assert refusal(stranger, filter_id=made["id"]) == gone
    user.expect(204, "DELETE", path)
    assert refusal(user, filter_id=made["id"]) == gone
    user.problem(404, "not_found", "GET", path)


def test_an_invalid_filter_cannot_be_saved(user: Api) -> None:
    for query, code, offset in (
        ("priority > 9", "out_of_range", 11),
        ("\U0001f331", "syntax", 0),
        ("", "length", None),
        ("a" * 2_001, "length", None),
    ):
        body = {"name": "a", "query": query}
        problem = user.problem(400, "invalid_input", "POST", "/filters", json=body)
        (error,) = problem["errors"]
        found = (error["pointer"], error["code"], error.get("offset"))
        assert found == ("/query", code, offset)
    made = saved(user)
    path = f"/filters/{made['id']}"
    problem = user.problem(400, "invalid_input", "PATCH", path, json={"query": "due = "})
    assert problem["errors"][0]["offset"] == 6
    assert user.expect(200, "GET", path) == made


def test_references_of_a_saved_filter_are_checked_when_it_is_used(user: Api) -> None:
    made = saved(user, query="label = soon")
    assert refusal(user, filter_id=made["id"]) == ("filter_id", "unknown_reference", 8)
    new(user, "labels", name="Soon")
    assert titles(user, filter_id=made["id"]) == []


def test_saved_filters_are_sorted_and_paginated(user: Api) -> None:
    for name in ("b", "A", "c"):
        saved(user, name=name)
    for sort, order in (("created_at", "bAc"), ("-name", "cbA"), ("name", "Abc")):
        found = ""
        for page in user.pages("/filters", sort=sort, limit=2):
            assert page["total"] == 3
            found += "".join(one["name"] for one in page["filters"])
        assert found == order
    tag = user.send("GET", "/filters").headers["ETag"]
    assert user.send("GET", "/filters", headers={"If-None-Match": tag}).status_code == 304


def test_a_filter_that_is_too_costly_is_not_saved(user: Api) -> None:
    body = {"name": "All", "query": f"{MOST_TEXTS} or title ~ c"}
    user.expect(201, "POST", "/filters", json=body)
    body["query"] += " or title ~ d"
    problem = user.problem(400, "invalid_input", "POST", "/filters", json=body)
    assert [error["code"] for error in problem["errors"]] == ["too_costly"]


def test_me_is_the_user_who_uses_the_filter(user: Api, stranger: Api) -> None:
    shared = Shared(user, stranger)
    for title, assignee_id in (("a", user.user_id), ("b", stranger.user_id), ("c", None)):
        shared.task(user, title=title, assignee_id=assignee_id)
    shared.task(user, title="d", assignee_id=user.user_id, is_completed=True)
    body = {"name": "Mine", "query": "assignee = me"}
    filter_id = user.expect(201, "POST", f"{shared.base}/filters", json=body)["id"]

    def found(person: Api, **query: Any) -> str:
        path = f"{shared.base}/tasks"
        page = person.expect(200, "GET", path, query_string={"sort": "title"} | query)
        return "".join(task["title"] for task in page["tasks"])

    for person, mine in ((user, "ad"), (stranger, "b")):
        assert found(person, filter_id=filter_id) == mine
        assert found(person, filter="assignee = me") == found(person, assignee="me") == mine
    other = stranger.user_id
    assert found(user, filter=f"assignee in (me, {other})") == "abd"
    assert found(user, filter="assignee != me") == "bc"
    assert found(user, filter="assignee is null") == found(user, assignee="none") == "c"
    assert found(user, assignee=other) == "b"
    assert found(user, assignee="me", is_completed="false") == "a"
    assert found(user, assignee="me", filter=f"assignee = {other}") == ""
    assert found(user, assignee=NOBODYS) == found(user, filter=f"assignee = {NOBODYS}") == ""
    found_words = user.expect(200, "GET", f"{shared.base}/search?text=d&assignee=me")
    assert [one["task"]["title"] for one in found_words["results"]] == ["d"]
