"""The operation of search."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.http.operations import Link, operation
from taskapi.http.preconditions import if_none_match
from taskapi.http.resources import CONDITIONS_OF_READS
from taskapi.http.responses import page_response
from taskapi.identity import Caller
from taskapi.problems import PreconditionFailed
from taskapi.tasks.schemas import TASK
from taskapi.tasks.search import schemas, service

search = Blueprint("search", __name__, url_prefix="/search")


@search.get("")
@operation(
    summary="Search tasks",
    **TASK.reading,
    query=schemas.SearchQuery(),
    parameters=CONDITIONS_OF_READS,
    problems=(PreconditionFailed,),
    response=schemas.SearchPage,
    example={"results": [schemas.EXAMPLE], "total": None, "next_cursor": None},
    headers=("ETag", "Link"),
    links=(Link("get_task", {"task_id": "$response.body#/results/0/task/id"}),),
)
def search_tasks(caller: Caller, query: dict[str, Any]) -> Response:
    """Returns the tasks that contain all words of `text`, the best matches first.

    A word also matches longer words that start with it. Case is ignored, and so are accents of
    Latin and Greek letters. Matches in the title rank higher than matches in the description, and
    whole words higher than prefixes. Only the newest 1,000 matches are ranked and returned. The
    other parameters filter the tasks, as in `GET /tasks`.
    """
    known = if_none_match(request, caller)
    page = service.search_tasks(caller, query, known=known)
    return page_response("results", page, caller, _represent)


def _represent(result: service.Result) -> dict[str, Any]:
    return {**result._asdict(), "task": TASK.represent(result.task)}
