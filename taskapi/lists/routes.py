"""The calls of lists."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.core.bodies import JSON, MERGE_PATCH
from taskapi.core.errors import Forbidden, NotFound, PreconditionFailed
from taskapi.core.identity import Caller
from taskapi.core.operations import Link, operation
from taskapi.core.preconditions import if_match, if_none_match
from taskapi.core.responses import page_answer, versioned
from taskapi.lists import schemas, service
from taskapi.lists.service import InboxStays, ListNotEmpty

lists = Blueprint("lists", __name__, url_prefix="/lists")

_ID = {"list_id": "$response.body#/id"}
_CURRENT = {**_ID, "If-Match": "$response.header.ETag"}
_READ = (Link("get_list", _ID),)
_WRITE = tuple(Link(name, _CURRENT) for name in ("update_list", "patch_list", "delete_list"))
_CONFLICT = {412: (schemas.ListConflict, {"list": schemas.EXAMPLE})}
_CHANGE: dict[str, Any] = {
    "body": schemas.ListChanges(),
    "parameters": ("If-Match",),
    "answers": schemas.List,
    "example": schemas.EXAMPLE,
    "headers": ("ETag",),
    "problems": (Forbidden, NotFound, PreconditionFailed, InboxStays),
    "problem_shapes": _CONFLICT,
    "links": _READ + _WRITE,
}
"""What PUT and PATCH have in common."""


@lists.get("")
@operation(
    summary="List the lists",
    query=schemas.ListQuery(),
    parameters=("If-None-Match",),
    answers=schemas.Lists,
    example={"lists": [schemas.EXAMPLE], "total": 1, "next_cursor": None},
    headers=("ETag", "Link"),
    links=(
        Link("list_lists", {"cursor": "$response.body#/next_cursor"}),
        Link("get_list", {"list_id": "$response.body#/lists/0/id"}),
    ),
)
def list_lists(caller: Caller, query: dict[str, Any]) -> Response:
    """The caller's lists in the order in which they were added, unless `sort` says otherwise."""
    known = if_none_match(request, caller.user_id)
    return page_answer("lists", service.list_lists(caller, query, known=known), caller)


@lists.post("")
@operation(
    summary="Add a list",
    body=schemas.NewList(),
    body_example=schemas.NEW_EXAMPLE,
    status=201,
    answers=schemas.List,
    example=schemas.EXAMPLE,
    parameters=("Idempotency-Key",),
    headers=("ETag", "Location", "Idempotency-Replayed"),
    links=_READ + _WRITE,
)
def create_list(caller: Caller, body: dict[str, Any]) -> Response:
    """Adds a list behind the others."""
    created = service.create_list(caller, body)
    return versioned(created, 201, {"Location": f"{request.path}/{created['id']}"})


@lists.get("/<id:list_id>")
@operation(
    summary="Get a list",
    parameters=("If-None-Match",),
    answers=schemas.List,
    example=schemas.EXAMPLE,
    headers=("ETag",),
    problems=(Forbidden, NotFound),
    links=_WRITE,
)
def get_list(caller: Caller, list_id: int) -> Response:
    """One of the caller's lists. The inbox has the account's id."""
    return versioned(service.get_list(caller, list_id))


@lists.put("/<id:list_id>")
@operation(
    summary="Change a list",
    body_example=schemas.NEW_EXAMPLE | {"is_archived": False},
    **_CHANGE,
)
def update_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Sets the fields that are given; the others stay. The inbox cannot be archived."""
    return versioned(service.update_list(caller, list_id, body, if_match(request)))


@lists.patch("/<id:list_id>")
@operation(
    summary="Patch a list",
    body_example={"color": None},
    media_types=(JSON, MERGE_PATCH),
    **_CHANGE,
)
def patch_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396): null removes the color; the rest cannot be."""
    return versioned(service.update_list(caller, list_id, body, if_match(request)))


@lists.post("/<id:list_id>/move")
@operation(
    summary="Move a list",
    body=schemas.ListMove(),
    body_example=schemas.MOVE_EXAMPLE,
    answers=schemas.List,
    example=schemas.EXAMPLE,
    parameters=("If-Match", "Idempotency-Key"),
    headers=("ETag", "Idempotency-Replayed"),
    problems=(Forbidden, NotFound, PreconditionFailed),
    problem_shapes=_CONFLICT,
    links=_READ + _WRITE,
)
def move_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Puts a list behind another, in the order by hand."""
    return versioned(service.move_list(caller, list_id, body, if_match(request)))


@lists.delete("/<id:list_id>")
@operation(
    summary="Delete a list",
    query=schemas.ListDeletion(),
    status=204,
    parameters=("If-Match",),
    problems=(Forbidden, NotFound, PreconditionFailed, InboxStays, ListNotEmpty),
    problem_shapes=_CONFLICT,
)
def delete_list(caller: Caller, list_id: int, query: dict[str, Any]) -> Response:
    """Removes a list for good. What becomes of its tasks must be said, unless it has none."""
    tasks = query.get("tasks")
    service.delete_list(caller, list_id, tasks=tasks, if_match=if_match(request))
    return Response(status=204)
