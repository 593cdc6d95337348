"""The calls of filters."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.preconditions import if_match, if_none_match
from taskapi.http.responses import page_response, versioned_response
from taskapi.identity import Caller
from taskapi.tasks.filters import schemas, service
from taskapi.tasks.filters.schemas import FILTER

filters = Blueprint("filters", __name__, url_prefix="/filters")

_CHANGE = FILTER.changing()


@filters.get("")
@operation(summary="List the filters", **FILTER.listing(schemas.FilterQuery()))
def list_filters(caller: Caller, query: dict[str, Any]) -> Response:
    """The caller's filters in the order in which they were added, unless `sort` says otherwise."""
    known = if_none_match(request, caller.workspace_id)
    page = service.list_filters(caller, query, known=known)
    return page_response("filters", page, caller, FILTER.represent)


@filters.post("")
@operation(summary="Add a filter", **FILTER.adding(schemas.NEW_EXAMPLE))
def create_filter(caller: Caller, body: dict[str, Any]) -> Response:
    """Keeps a filter of tasks, which `GET /tasks?filter_id=` uses."""
    created = service.create_filter(caller, body)
    return versioned_response(
        FILTER.represent(created), 201, {"Location": f"{request.path}/{created.id}"}
    )


@filters.get("/<id:filter_id>")
@operation(summary="Get a filter", **FILTER.getting())
def get_filter(caller: Caller, filter_id: int) -> Response:
    """One of the caller's filters."""
    return versioned_response(FILTER.represent(service.get_filter(caller, filter_id)))


@filters.put("/<id:filter_id>")
@operation(summary="Change a filter", body_example=schemas.NEW_EXAMPLE, **_CHANGE)
def update_filter(caller: Caller, filter_id: int, body: dict[str, Any]) -> Response:
    """Sets the fields that are given; the others stay."""
    return versioned_response(
        FILTER.represent(service.update_filter(caller, filter_id, body, if_match(request)))
    )


@filters.patch("/<id:filter_id>")
@operation(
    summary="Patch a filter",
    body_example={"color": None},
    media_types=(JSON, MERGE_PATCH),
    **_CHANGE,
)
def patch_filter(caller: Caller, filter_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396): null removes the color; the rest cannot be."""
    return versioned_response(
        FILTER.represent(service.update_filter(caller, filter_id, body, if_match(request)))
    )


@filters.delete("/<id:filter_id>")
@operation(summary="Delete a filter", **FILTER.deleting())
def delete_filter(caller: Caller, filter_id: int) -> Response:
    """Removes a filter for good."""
    service.delete_filter(caller, filter_id, if_match(request))
    return Response(status=204)
