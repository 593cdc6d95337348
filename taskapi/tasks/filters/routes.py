"""The operations of saved filters."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from taskapi.http.bodies import JSON, MERGE_PATCH
from taskapi.http.operations import operation
from taskapi.http.preconditions import if_match, if_none_match
from taskapi.http.responses import created_response, page_response, versioned_response
from taskapi.identity import Caller
from taskapi.tasks.filters import schemas, service
from taskapi.tasks.filters.queries import FilterExists
from taskapi.tasks.filters.schemas import FILTER

filters = Blueprint("filters", __name__, url_prefix="/filters")

_UPDATE = FILTER.updating(FilterExists)


@filters.get("")
@operation(summary="List saved filters", **FILTER.listing(schemas.FilterQuery()))
def list_filters(caller: Caller, query: dict[str, Any]) -> Response:
    """Returns the caller's saved filters, by default in the order of creation."""
    known = if_none_match(request, caller)
    page = service.list_filters(caller, query, known=known)
    return page_response("filters", page, caller, FILTER.represent)


@filters.post("")
@operation(summary="Save a filter", **FILTER.creating(schemas.NEW_EXAMPLE, FilterExists))
def create_filter(caller: Caller, body: dict[str, Any]) -> Response:
    """Saves a filter expression for `GET /tasks?filter_id=`.

    Its name must be unique, ignoring case.
    """
    return created_response(FILTER.represent(service.create_filter(caller, body)))


@filters.get("/<id:filter_id>")
@operation(summary="Get a saved filter", **FILTER.getting())
def get_filter(caller: Caller, filter_id: int) -> Response:
    """Returns a saved filter. To get its tasks, use `GET /tasks?filter_id=`."""
    return versioned_response(FILTER.represent(service.get_filter(caller, filter_id)))


@filters.put("/<id:filter_id>")
@operation(summary="Update a saved filter", body_example=schemas.NEW_EXAMPLE, **_UPDATE)
def update_filter(caller: Caller, filter_id: int, body: dict[str, Any]) -> Response:
    """Sets the given fields. Omitted fields keep their values."""
    return versioned_response(
        FILTER.represent(service.update_filter(caller, filter_id, body, if_match(request)))
    )


@filters.patch("/<id:filter_id>")
@operation(
    summary="Patch a saved filter",
    body_example={"color": schemas.EXAMPLE["color"]},
    media_types=(JSON, MERGE_PATCH),
    **_UPDATE,
)
def patch_filter(caller: Caller, filter_id: int, body: dict[str, Any]) -> Response:
    """Applies a JSON merge patch (RFC 7396). Null clears a nullable field."""
    return versioned_response(
        FILTER.represent(service.update_filter(caller, filter_id, body, if_match(request)))
    )


@filters.delete("/<id:filter_id>")
@operation(summary="Delete a saved filter", **FILTER.deleting())
def delete_filter(caller: Caller, filter_id: int) -> Response:
    """Deletes a saved filter. This cannot be undone."""
    service.delete_filter(caller, filter_id, if_match(request))
    return Response(status=204)
