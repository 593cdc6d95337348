"""The calls of lists."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.preconditions import if_match, if_none_match
from taskapi.http.responses import page_response, versioned_response
from taskapi.identity import Caller
from taskapi.tasks.lists import schemas, service
from taskapi.tasks.lists.schemas import LIST
from taskapi.tasks.lists.service import InboxStays, ListNotEmpty

lists = Blueprint("lists", __name__, url_prefix="/lists")

_CHANGE = LIST.changing(InboxStays)


@lists.get("")
@operation(summary="List the lists", **LIST.listing(schemas.ListQuery()))
def list_lists(caller: Caller, query: dict[str, Any]) -> Response:
    """The caller's lists in the order in which they were added, unless `sort` says otherwise."""
    known = if_none_match(request, caller.workspace_id)
    page = service.list_lists(caller, query, known=known)
    return page_response("lists", page, caller, LIST.represent)


@lists.post("")
@operation(summary="Add a list", **LIST.adding(schemas.NEW_EXAMPLE))
def create_list(caller: Caller, body: dict[str, Any]) -> Response:
    """Adds a list behind the others."""
    created = service.create_list(caller, body)
    return versioned_response(
        LIST.represent(created), 201, {"Location": f"{request.path}/{created.id}"}
    )


@lists.get("/<id:list_id>")
@operation(summary="Get a list", **LIST.getting())
def get_list(caller: Caller, list_id: int) -> Response:
    """One of the caller's lists. The inbox has the account's id."""
    return versioned_response(LIST.represent(service.get_list(caller, list_id)))


@lists.put("/<id:list_id>")
@operation(
    summary="Change a list", body_example=schemas.NEW_EXAMPLE | {"is_archived": False}, **_CHANGE
)
def update_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Sets the fields that are given; the others stay. The inbox cannot be archived."""
    return versioned_response(
        LIST.represent(service.update_list(caller, list_id, body, if_match(request)))
    )


@lists.patch("/<id:list_id>")
@operation(
    summary="Patch a list", body_example={"color": None}, media_types=(JSON, MERGE_PATCH), **_CHANGE
)
def patch_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396): null removes the color; the rest cannot be."""
    return versioned_response(
        LIST.represent(service.update_list(caller, list_id, body, if_match(request)))
    )


@lists.post("/<id:list_id>/move")
@operation(
    summary="Move a list", body_example=schemas.MOVE_EXAMPLE, **LIST.acting(schemas.ListMove())
)
def move_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Puts a list behind another, in the order by hand."""
    return versioned_response(
        LIST.represent(service.move_list(caller, list_id, body, if_match(request)))
    )


@lists.delete("/<id:list_id>")
@operation(
    summary="Delete a list",
    query=schemas.ListDeletion(),
    **LIST.deleting(InboxStays, ListNotEmpty),
)
def delete_list(caller: Caller, list_id: int, query: dict[str, Any]) -> Response:
    """Removes a list for good. What becomes of its tasks must be said, unless it has none."""
    tasks = query.get("tasks")
    service.delete_list(caller, list_id, tasks=tasks, if_match=if_match(request))
    return Response(status=204)
