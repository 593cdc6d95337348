"""The operations of lists."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.preconditions import if_match, if_none_match
from taskapi.http.responses import created_response, page_response, versioned_response
from taskapi.identity import Caller
from taskapi.tasks.lists import schemas, service
from taskapi.tasks.lists.queries import ListExists
from taskapi.tasks.lists.schemas import LIST
from taskapi.tasks.lists.service import InboxStays, ListNotEmpty

lists = Blueprint("lists", __name__, url_prefix="/lists")

_UPDATE = LIST.updating(InboxStays, ListExists)


@lists.get("")
@operation(summary="List lists", **LIST.listing(schemas.ListQuery()))
def list_lists(caller: Caller, query: dict[str, Any]) -> Response:
    """Returns the caller's lists with their numbers of tasks, by default in order of creation.

    Only pages have these numbers, because the version of a list does not change with its tasks.
    """
    known = if_none_match(request, caller)
    page = service.list_lists(caller, query, known=known)
    return page_response("lists", page, caller, LIST.represent_in_page)


@lists.post("")
@operation(summary="Create a list", **LIST.creating(schemas.NEW_EXAMPLE, ListExists))
def create_list(caller: Caller, body: dict[str, Any]) -> Response:
    """Creates a list at the end of the manual order. Its name must be unique, ignoring case."""
    return created_response(LIST.represent(service.create_list(caller, body)))


@lists.get("/<id:list_id>")
@operation(summary="Get a list", **LIST.getting())
def get_list(caller: Caller, list_id: int) -> Response:
    """Returns a list. The inbox has the ID of the workspace."""
    return versioned_response(LIST.represent(service.get_list(caller, list_id)))


@lists.put("/<id:list_id>")
@operation(
    summary="Update a list", body_example=schemas.NEW_EXAMPLE | {"is_archived": False}, **_UPDATE
)
def update_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Sets the given fields. Omitted fields keep their values. The inbox cannot be archived."""
    return versioned_response(
        LIST.represent(service.update_list(caller, list_id, body, if_match(request)))
    )


@lists.patch("/<id:list_id>")
@operation(
    summary="Patch a list",
    body_example={"color": schemas.EXAMPLE["color"]},
    media_types=(JSON, MERGE_PATCH),
    **_UPDATE,
)
def patch_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396). Null clears a nullable field."""
    return versioned_response(
        LIST.represent(service.update_list(caller, list_id, body, if_match(request)))
    )


@lists.post("/<id:list_id>/move")
@operation(
    summary="Move a list",
    body_example=schemas.MOVE_EXAMPLE,
    **LIST.acting(schemas.ListMove()) | {"example": schemas.MOVED_EXAMPLE},
)
def move_list(caller: Caller, list_id: int, body: dict[str, Any]) -> Response:
    """Moves a list behind another one in the manual order."""
    return versioned_response(
        LIST.represent(service.move_list(caller, list_id, body, if_match(request)))
    )


@lists.delete("/<id:list_id>")
@operation(
    summary="Delete a list",
    query=schemas.ListDeletion(),
    **LIST.deleting(InboxStays, ListNotEmpty) | {"scopes": ("lists:write", "tasks:write")},
)
def delete_list(caller: Caller, list_id: int, query: dict[str, Any]) -> Response:
    """Deletes a list. If it contains tasks, `tasks` must specify whether to move or delete them.

    This cannot be undone.
    """
    tasks = query.get("tasks")
    service.delete_list(caller, list_id, tasks=tasks, if_match=if_match(request))
    return Response(status=204)
