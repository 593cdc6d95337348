"""Requests that find tasks by filters."""

from __future__ import annotations

from typing import Any

from support.api import Api

NOBODYS = 9_007_199_254_740_991
"""An ID that does not exist."""

MOST_TEXTS = " or ".join(["title ~ a", "description ~ a", "text ~ a", "not title ~ b"])
"""A filter with all conditions that search texts, except for one."""


def titles(person: Api, **query: Any) -> list[str]:
    page = person.expect(200, "GET", "/tasks", query_string=query)
    return sorted(task["title"] for task in page["tasks"])


def refusal(person: Api, **query: Any) -> tuple[str, str, int | None]:
    problem = person.problem(400, "invalid_input", "GET", "/tasks", query_string=query)
    (error,) = problem["errors"]
    return error["pointer"], error["code"], error.get("offset")


def new(person: Api, feature: str, **values: Any) -> int:
    return int(person.expect(201, "POST", f"/{feature}", json=values)["id"])
