"""The call of search."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.http.operations import Link, operation
from taskapi.http.preconditions import if_none_match
from taskapi.http.responses import page_answer
from taskapi.identity import Caller
from taskapi.tasks.search import schemas, service

search = Blueprint("search", __name__, url_prefix="/search")


@search.get("")
@operation(
    summary="Search tasks",
    query=schemas.SearchQuery(),
    parameters=("If-None-Match",),
    answers=schemas.FoundTasks,
    example={"results": [schemas.EXAMPLE], "total": None, "next_cursor": None},
    headers=("ETag", "Link"),
    links=(Link("get_task", {"task_id": "$response.body#/results/0/task/id"}),),
)
def search_tasks(caller: Caller, query: dict[str, Any]) -> Response:
    """The tasks that have all words of `text`, or words that begin with them, the best first.

    Words are those of title and description; one in the title counts for more. What else finds
    tasks says among which to search.
    """
    known = if_none_match(request, caller.user_id)
    return page_answer("results", service.search_tasks(caller, query, known=known), caller)
