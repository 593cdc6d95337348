"""A page ends before it becomes too large, and the next page continues there."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from support.api import Api
from support.contract import Contract
from support.world import sql

from config import Settings
from taskapi.db.concurrency import MAX_UNSENT_BYTES
from taskapi.db.pages import MAX_PAGE_BYTES

COUNT = 250
TEXTS = {"one byte, six in JSON": "\x01" * 10_000, "four bytes": "🌱" * 10_000}


@pytest.fixture(scope="module", params=TEXTS.values(), ids=TEXTS)
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def writer(app: Flask, contract: Contract, settings: Settings, text: str) -> Api:
    """A client with many tasks of the longest description."""
    writer = Api(app.test_client(), contract).registered()
    for number in range(COUNT):
        writer.task(title=f"Task {number % 7}", priority=number % 3)
    sql(settings, "UPDATE tasks SET description = %s WHERE user_id = %s", text, writer.user_id)
    return writer


@pytest.mark.parametrize("sort", ["-created_at", "title", "-priority", "position"])
@pytest.mark.parametrize("more", [{}, {"filter": "priority >= 0"}], ids=["all", "filtered"])
def test_pages_are_limited_in_bytes(
    writer: Api, text: str, sort: str, more: dict[str, Any]
) -> None:
    expected = [
        task["id"] for page in writer.pages("/tasks", sort=sort, limit=60) for task in page["tasks"]
    ]
    found, query = [], {"sort": sort} | more
    while True:
        response = writer.send("GET", "/tasks", query_string=query)
        page = response.get_json()
        assert len(response.data) <= MAX_PAGE_BYTES + 1_000
        assert page["total"] == (None if more else COUNT)
        assert all(task["description"] == text for task in page["tasks"])
        found += [task["id"] for task in page["tasks"]]
        if page["next_cursor"] is None:
            break
        assert 'rel="next"' in response.headers["Link"]
        # A page with more tasks would save a round trip.
        assert len(response.data) > MAX_PAGE_BYTES * 0.9
        query["cursor"] = page["next_cursor"]
    assert found == expected


def test_the_database_sends_no_more_than_a_page(writer: Api, text: str) -> None:
    page = writer.expect(200, "GET", "/tasks", query_string={"limit": 1_000})
    assert len(page["tasks"]) < COUNT


def test_head_of_a_long_page_returns_its_link_but_no_length(writer: Api) -> None:
    page, bare = writer.send("GET", "/tasks"), writer.send("HEAD", "/tasks")
    assert page.get_json()["next_cursor"]
    assert bare.headers["Link"] == page.headers["Link"]
    assert "Content-Length" in page.headers
    assert "Content-Length" not in bare.headers


def test_large_responses_that_are_not_read_are_limited(writer: Api) -> None:
    writer.expect(200, "GET", "/tasks", query_string={"limit": 1})
    open_responses = []
    while True:
        response = writer.client.get("/tasks", headers=writer.headers)
        if response.status_code != 200:
            break
        open_responses.append(response)
    assert response.get_json()["code"] == "too_many_concurrent_requests"
    assert len(open_responses) * MAX_PAGE_BYTES < MAX_UNSENT_BYTES + 2 * MAX_PAGE_BYTES
    writer.problem(429, "too_many_concurrent_requests", "GET", "/tasks")
    for response in open_responses:
        response.close()
    writer.expect(200, "GET", "/tasks")
